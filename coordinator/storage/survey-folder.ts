/**
 * The folder of one survey: its files, the segments and the journal.
 *
 *     DATA/<survey>/survey.json       the survey
 *     DATA/<survey>/space.bin         the targets, canonical bytes
 *     DATA/<survey>/rules.bin         which targets were left out, and by which rule
 *     DATA/<survey>/segments/…        the rows
 *     DATA/<survey>/journal.ndjson    which shards are stored, who probed them, and when
 *     DATA/<survey>/manifest.json     at the end: what is complete, and digests of the other files
 *     DATA/<survey>/manifest.sig      the coordinator's signature of the manifest
 */
import { join } from 'node:path';
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Disk } from '../../shared/host/disk.js';
import type { Survey } from '../../shared/survey/survey.js';
import {
  isSurveyFile,
  JOURNAL_FILE,
  RULES_FILE,
  refuseOtherVersion,
  SPACE_FILE,
  SURVEY_FILE,
  surveyToJson,
} from './folder-layout.js';
import {
  findEntry,
  Journal,
  type JournalLines,
  type MergedSegment,
  readJournal,
  type ShardEntry,
} from './journal.js';
import { SegmentStore } from './segments.js';
import type { SigningKey } from './signing-key.js';

/** The content of a new survey's folder. */
export interface InitialFiles {
  readonly space: Uint8Array;
  readonly rules: Uint8Array | undefined;
  /** True if a coordinator may restore the survey from its folder. */
  readonly isRestorable: boolean;
}

export interface SurveyFolderDeps {
  readonly disk: Disk;
  /** The fencing term of the coordinator: it fences the writes of earlier ones. */
  readonly term: number;
  /** Signs the manifest. */
  readonly signingKey: SigningKey;
}

export class SurveyFolder {
  readonly path: string;
  readonly segments: SegmentStore;
  readonly journal: Journal;
  readonly disk: Disk;
  readonly signingKey: SigningKey;
  #compacting: Promise<void> = Promise.resolve();

  /** @param segmentFormat name of the sink that writes the segments */
  constructor(path: string, segmentFormat: string, { disk, term, signingKey }: SurveyFolderDeps) {
    this.path = path;
    this.disk = disk;
    this.signingKey = signingKey;
    this.segments = new SegmentStore(path, segmentFormat, disk);
    this.journal = new Journal(disk, join(path, JOURNAL_FILE), term);
  }

  /** Writes the files of a new survey. @throws Fault UNWRITABLE */
  async create(survey: Survey, { space, rules, isRestorable }: InitialFiles): Promise<void> {
    await this.disk.writeWhole(join(this.path, SPACE_FILE), [space]);
    if (rules !== undefined) await this.disk.writeWhole(join(this.path, RULES_FILE), [rules]);
    const record = surveyToJson(survey, isRestorable);
    await this.disk.writeWhole(join(this.path, SURVEY_FILE), [record]);
  }

  /**
   * Refuses a folder that this coordinator cannot use.
   * @throws Fault UNWRITABLE if the survey's results are in another data folder, VERSION_SKEW if another
   * version wrote them
   */
  async refuseIfUnusable(): Promise<void> {
    const file = join(this.path, SURVEY_FILE);
    const record = await this.disk.read(file, LIMITS.recordOctets);
    if (record !== undefined) return refuseOtherVersion(record.toString(), file);
    const reason =
      'the survey’s results are in another data folder: start the coordinator with that one (--data)';
    throw new Fault('UNWRITABLE', reason, { flag: '--data', file });
  }

  /**
   * Begins our term in the journal, after which lines of earlier terms do not count, and yields the stored
   * shards.
   * @param lines called with lines about other things
   * @throws Fault UNWRITABLE or DEPOSED
   */
  async *restore(lines: JournalLines = {}): AsyncGenerator<ShardEntry> {
    await this.journal.begin();
    const listed = new Set<string>();
    const onSegment = ({ from, to }: MergedSegment) => void listed.add(`${from}-${to}`);
    yield* readJournal(this.disk, join(this.path, JOURNAL_FILE), { ...lines, onSegment });
    // A shard may have a file without being stored: it is stored again.
    await this.segments.sweep(({ from, to }) => listed.has(`${from}-${to}`));
  }

  /** Merges small segments in the background. @param onError called if that fails */
  compact(
    shard: number,
    areStored: (from: number, to: number) => boolean,
    onError: (error: unknown) => void,
  ): void {
    this.#compacting = this.#compacting
      .then(() =>
        this.segments.compact(shard, areStored, (merged) => this.journal.addMerged(merged)),
      )
      .catch(onError);
  }

  /** Resolves once no segments are being merged. */
  flushed(): Promise<void> {
    return this.#compacting;
  }

  entryOf(shard: number): Promise<ShardEntry | undefined> {
    return findEntry(this.disk, join(this.path, JOURNAL_FILE), shard);
  }

  /** The survey's files, as paths within its folder. */
  async files(): Promise<string[]> {
    const own = await this.disk.list(this.path);
    const segments = await this.segments.list();
    const all = [...own, ...segments.map(({ file }) => file.slice(this.path.length + 1))];
    return all.filter(isSurveyFile);
  }
}
