/**
 * What a survey leaves on disk, and the order in which it gets there: the rows of a shard are durable,
 * then its line is in the journal, and then it is covered.
 *
 *     DATA/<survey>/survey.json       the question, without the key
 *     DATA/<survey>/space.bin         the targets, canonical
 *     DATA/<survey>/rules.json        what was left out of them, and why
 *     DATA/<survey>/segments/…        the rows
 *     DATA/<survey>/ledger.ndjson     the journal: which shards are stored, by whom probed, and when
 *     DATA/<survey>/manifest.json     at the end: what is complete
 */
import { join } from 'node:path';
import { Fault } from '../../shared/base/faults.js';
import type { Disk } from '../../shared/host/disk.js';
import { type Lease, settledUpToOf } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import { encodeUnsent } from '../../shared/survey/unsent-positions.js';
import { RowSource } from '../sink/row.js';
import type { ShardRows } from './batch-collector.js';
import {
  isSurveyFile,
  JOURNAL_FILE,
  RULES_FILE,
  SPACE_FILE,
  SURVEY_FILE,
  surveyToJson,
} from './folder-layout.js';
import { findEntry, Journal, readJournal, type ShardEntry } from './journal.js';
import { SegmentStore } from './segments.js';

/** What is written down of a survey at its start. */
export interface InitialFiles {
  readonly space: Uint8Array;
  readonly rules: Uint8Array | undefined;
  /** Whether a coordinator may put it back from its folder. */
  readonly isRestorable: boolean;
}

export class SurveyFolder {
  readonly folder: string;
  readonly segments: SegmentStore;
  readonly disk: Disk;
  readonly #journal: Journal;
  #compacting: Promise<void> = Promise.resolve();

  /** @param output name of the sink that writes its segments */
  constructor(folder: string, output: string, { disk, term }: SurveyFolderDeps) {
    this.folder = folder;
    this.disk = disk;
    this.segments = new SegmentStore(folder, output, disk);
    this.#journal = new Journal(disk, join(folder, JOURNAL_FILE), term);
  }

  /** Writes down what was asked, and what was left out. @throws Fault UNWRITABLE */
  async create(survey: Survey, { space, rules, isRestorable }: InitialFiles): Promise<void> {
    await this.disk.writeWhole(join(this.folder, SPACE_FILE), [space]);
    if (rules !== undefined) await this.disk.writeWhole(join(this.folder, RULES_FILE), [rules]);
    await this.disk.writeWhole(join(this.folder, SURVEY_FILE), [
      surveyToJson(survey, isRestorable),
    ]);
  }

  /** The results of a survey are where its coordinator stores them. @throws Fault UNWRITABLE */
  async refuseForeignFolder(): Promise<void> {
    const file = join(this.folder, SURVEY_FILE);
    if ((await this.disk.size(file)) > 0) return;
    const reason =
      'its results are stored elsewhere: start with the --data folder it was launched with';
    throw new Fault('UNWRITABLE', reason, { flag: '--data', file });
  }

  /** What is stored; from now on nobody else's writing counts. @throws Fault UNWRITABLE */
  async *restore(): AsyncGenerator<ShardEntry> {
    await this.#journal.begin();
    await this.segments.sweep();
    yield* this.entries();
  }

  entries(): AsyncIterable<ShardEntry> {
    return readJournal(this.disk, join(this.folder, JOURNAL_FILE));
  }

  /** Durable when it resolves. @throws Fault UNWRITABLE; then nothing is stored */
  async store(plan: Plan, lease: Lease, shardRows: ShardRows): Promise<ShardEntry> {
    const { number, from, to } = plan.shard(lease.shard);
    if (shardRows.count > 0) await this.segments.write(number, sourcesOf(plan, shardRows));
    else await this.segments.clear(number);
    const coveredUpTo = settledUpToOf(lease, { number, from, to });
    const { epochs } = lease;
    const unsent = encodeUnsent(shardRows.unsent);
    const rowCount = shardRows.count;
    const entry = {
      shard: number,
      from,
      to,
      coveredUpTo,
      rowCount,
      epochs,
      ...(unsent && { unsent }),
    };
    await this.#journal.add(entry);
    return entry;
  }

  /** Merges small files in the background. @param failed hears why it could not */
  compact(
    shard: number,
    areStored: (from: number, to: number) => boolean,
    failed: (error: unknown) => void,
  ): void {
    this.#compacting = this.#compacting
      .then(() => this.segments.compact(shard, areStored))
      .catch(failed);
  }

  /** Until nothing is being merged. */
  settled(): Promise<void> {
    return this.#compacting;
  }

  entryOf(shard: number): Promise<ShardEntry | undefined> {
    return findEntry(this.disk, join(this.folder, JOURNAL_FILE), shard);
  }

  /** The survey's files, as paths within its folder. */
  async files(): Promise<string[]> {
    const own = await this.disk.list(this.folder);
    const segments = await this.segments.list();
    const all = [...own, ...segments.map(({ file }) => file.slice(this.folder.length + 1))];
    return all.filter(isSurveyFile);
  }
}

export interface SurveyFolderDeps {
  readonly disk: Disk;
  /** Of the coordinator: what earlier ones write after it does not count. */
  readonly term: number;
}

/** The rows in their order, by one object that moves along. */
function* sourcesOf(plan: Plan, shardRows: ShardRows): Generator<RowSource> {
  const source = new RowSource(plan);
  for (const { batch, row } of shardRows.places()) yield source.moveTo(batch, row);
}
