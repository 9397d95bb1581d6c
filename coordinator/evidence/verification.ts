/**
 * The proof of coverage: checks, from plan, journal and segments alone, that every position is accounted for
 * exactly once and every row is in the right place. It computes whatever it can instead of trusting what is
 * stored: shards from the plan, targets from their positions, counts from the rows. Once a survey is over, its
 * files must also be those that its coordinator has stored and signed (`stored-evidence.ts`).
 */
import { join } from 'node:path';
import { IntervalSet } from '../../shared/base/intervals.js';
import type { Disk } from '../../shared/host/disk.js';
import { formatAddress } from '../../shared/net/ipv6.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import { sumReplies } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import {
  noneUnsent,
  sumUnsent,
  UNSENT_NAMES,
  type UnsentCounts,
} from '../../shared/survey/unsent.js';
import { countUnsent } from '../../shared/survey/unsent-positions.js';
import { FIELDS, type Row, type Value } from '../sink/fields.js';
import { JOURNAL_FILE, type PublicSurvey } from '../storage/folder-layout.js';
import { readJournal, type ShardEntry } from '../storage/journal.js';
import { type CrossCheckSummary, readManifest } from '../storage/manifest.js';
import { SegmentStore } from '../storage/segments.js';
import { CrossCheckEvidence } from './cross-check-evidence.js';
import { SignedReports, type SignedReportsResult } from './signed-reports.js';
import { checkManifest, hasManifest, SegmentDigests } from './stored-evidence.js';

/** At most this many violations are listed; all are counted. */
const LISTED_MAX = 20;

export interface Verification extends Readonly<UnsentCounts> {
  readonly targets: number;
  readonly targetsCovered: number;
  /** The number of covered targets that were probed. */
  readonly targetsProbed: number;
  readonly shards: number;
  readonly shardsStored: number;
  readonly rows: number;
  readonly violations: number;
  /** The first violations, as sentences. */
  readonly examples: readonly string[];
  /** The fingerprint of the coordinator's key that signed the manifest; empty if the survey is not over. */
  readonly signedBy: string;
  readonly crossChecks: CrossCheckSummary;
  /** Undefined if the keys of agents are not known. */
  readonly signedReports: SignedReportsResult | undefined;
}

export interface CheckedSurvey {
  readonly survey: PublicSurvey;
  readonly plan: Plan;
  readonly folder: string;
  readonly disk: Disk;
  /** Public nkeys of agents, by name, if their signatures are to be checked. */
  readonly agentKeys?: ReadonlyMap<string, string> | undefined;
}

export async function verify({
  survey,
  plan,
  folder,
  disk,
  agentKeys,
}: CheckedSurvey): Promise<Verification> {
  const checker = new CoverageChecker(plan, survey);
  if (plan.hash !== survey.planHash)
    checker.addViolation('the hash of the plan differs from the one in survey.json');
  const segments = new SegmentStore(folder, survey.segmentFormat, disk);
  // Rows are stored before the journal line of their shard, so a row without such a line is a violation
  // only once the survey is over.
  const isOver = await hasManifest(disk, folder);
  // Files that were changed come first: other violations may only follow from them.
  const { violations, signedBy } = await checkManifest(disk, folder);
  for (const violation of violations) checker.addViolation(violation);
  const withRows = new Map<number, ShardEntry>();
  const digests = new SegmentDigests();
  const crossChecks = new CrossCheckEvidence();
  const signed = agentKeys && new SignedReports(survey.id, agentKeys);
  const journal = join(folder, JOURNAL_FILE);
  for await (const entry of readJournal(disk, journal, {
    onSegment: (file) => digests.add(file),
    onCrossCheck: (line) => crossChecks.add(line),
  })) {
    checker.checkEntry(entry);
    for (const violation of signed?.add(entry) ?? []) checker.addViolation(violation);
    if (entry.rowCount > 0) withRows.set(entry.shard, entry);
    else checker.closeShard(entry);
  }
  for (const segment of await segments.list()) {
    const violation = isOver ? await digests.violationOf(disk, segment) : undefined;
    if (violation !== undefined) checker.addViolation(violation);
    for await (const row of segments.read(segment)) checker.checkRow(row, withRows, isOver);
    // No other file has rows of this segment's shards, so the shards can be checked, and then dropped
    // from memory.
    for (const entry of [...withRows.values()]) {
      if (entry.shard < segment.from || entry.shard >= segment.to) continue;
      checker.closeShard(entry);
      withRows.delete(entry.shard);
    }
  }
  for (const entry of withRows.values()) checker.closeShard(entry);
  const recorded = isOver ? (await readManifest(disk, folder))?.status.targetsCovered : undefined;
  if (recorded !== undefined) checker.checkManifest(recorded);
  const evidence = { crossChecks: crossChecks.result, signedReports: signed?.result, signedBy };
  return { ...checker.result(), ...evidence };
}

/** The rows found for one shard. */
interface Seen {
  readonly positions: Set<number>;
  readonly classes: Record<string, number>;
}

class CoverageChecker {
  readonly #plan: Plan;
  readonly #survey: PublicSurvey;
  readonly #set: ProbeSet;
  readonly #stored = new IntervalSet();
  readonly #seen = new Map<number, Seen>();
  readonly #examples: string[] = [];
  #faults = 0;
  #covered = 0;
  readonly #unsent = noneUnsent();
  #rows = 0;

  constructor(plan: Plan, survey: PublicSurvey) {
    this.#plan = plan;
    this.#survey = survey;
    this.#set = new ProbeSet(survey.probes);
  }

  addViolation(fault: string): void {
    this.#faults++;
    if (this.#examples.length < LISTED_MAX) this.#examples.push(fault);
  }

  checkEntry({ shard, from, to, coveredUpTo, epochs, unsent }: ShardEntry): void {
    const { shardCount } = this.#plan;
    if (shard >= shardCount) {
      this.addViolation(`shard ${shard} is not in the plan`);
      return;
    }
    if (!this.#stored.add(shard)) {
      this.addViolation(`shard ${shard} is stored twice`);
      return;
    }
    const planned = this.#plan.shard(shard);
    if (from !== planned.from || to !== planned.to) {
      this.addViolation(
        `shard ${shard} is [${from}, ${to}), planned [${planned.from}, ${planned.to})`,
      );
    }
    let position = from;
    for (const epoch of epochs) {
      if (epoch.from !== position) {
        this.addViolation(
          `shard ${shard}: epoch ${epoch.epoch} starts at ${epoch.from}, not at ${position}`,
        );
      }
      position = epoch.settledUpTo;
      const { sentUpTo, probesSent, replies } = epoch;
      const settled = epoch.settledUpTo - epoch.from;
      const isPossible =
        settled >= 0 &&
        epoch.settledUpTo <= sentUpTo &&
        // An epoch that ended early may have sent probes for positions beyond `sentUpTo`.
        probesSent <= (to - epoch.from) * this.#survey.probesPerTarget &&
        sumUnsent(epoch) + sumReplies(replies) <= settled;
      if (!isPossible) {
        this.addViolation(`shard ${shard}: epoch ${epoch.epoch} claims more than it can have done`);
      }
      for (const name of UNSENT_NAMES) this.#unsent[name] += epoch[name];
    }
    if (position !== coveredUpTo) {
      this.addViolation(
        `shard ${shard}: its epochs end at ${position}, but it is covered up to ${coveredUpTo}`,
      );
    }
    this.#covered += coveredUpTo - from;
    const there = countUnsent(unsent, to - from);
    for (const name of UNSENT_NAMES) {
      const reported = epochs.reduce((sum, epoch) => sum + epoch[name], 0);
      if (there[name] === reported) continue;
      this.addViolation(
        `shard ${shard}: ${there[name]} positions listed as ${name}, but ${reported} counted by epochs`,
      );
    }
  }

  /** @param isOver whether the survey is over; if it is, every row must belong to a stored shard */
  checkRow(row: Row, entries: ReadonlyMap<number, ShardEntry>, isOver: boolean): void {
    const { shard, position, saddr, probe, sport, agent, classification } = named(row);
    const entry = entries.get(Number(shard));
    const at = Number(position);
    const what = `row ${String(saddr)} port ${String(sport)}`;
    if (entry === undefined && !isOver) return;
    this.#rows++;
    if (entry === undefined) {
      this.addViolation(`${what}: shard ${String(shard)} is not stored`);
      return;
    }
    const owner = entry.epochs.find(({ from, settledUpTo }) => from <= at && at < settledUpTo);
    if (owner === undefined) {
      this.addViolation(`${what}: position ${at} is not covered`);
      return;
    }
    if (owner.agent !== agent)
      this.addViolation(`${what}: ${String(agent)} does not own position ${at}`);
    const target = this.#plan.targetAt(at);
    const asked = this.#set.all[target.probe]?.probe;
    const isSame =
      formatAddress(target) === saddr &&
      asked?.name === probe &&
      (asked?.hasPorts ? target.port : null) === sport;
    if (!isSame) {
      this.addViolation(`${what}: position ${at} is ${formatAddress(target)} port ${target.port}`);
    }
    const seen = this.#seen.get(entry.shard) ?? { positions: new Set(), classes: {} };
    this.#seen.set(entry.shard, seen);
    if (seen.positions.has(at)) this.addViolation(`${what}: position ${at} has two rows`);
    seen.positions.add(at);
    const name = String(classification);
    seen.classes[name] = (seen.classes[name] ?? 0) + 1;
  }

  /** Compares a shard's counts with its journal entry, after all of its rows have been checked. */
  closeShard({ shard, rowCount, epochs }: ShardEntry): void {
    const seen = this.#seen.get(shard);
    this.#seen.delete(shard);
    const count = seen?.positions.size ?? 0;
    if (count !== rowCount)
      this.addViolation(`shard ${shard} has ${count} rows, its journal entry counts ${rowCount}`);
    for (const name of this.#set.namesWithRows(this.#survey.rows === 'all')) {
      const settled = epochs.reduce((sum, epoch) => sum + (epoch.replies[name] ?? 0), 0);
      const there = seen?.classes[name] ?? 0;
      if (settled !== there)
        this.addViolation(`shard ${shard} has ${there} ${name} rows, its epochs count ${settled}`);
    }
  }

  /**
   * Compares the covered targets with the manifest: a journal that was damaged after the survey has fewer
   * than the manifest records.
   */
  checkManifest(recorded: number): void {
    if (recorded === this.#covered) return;
    this.addViolation(`the manifest has ${recorded} covered targets, the journal ${this.#covered}`);
  }

  result(): Omit<Verification, 'signedBy' | 'crossChecks' | 'signedReports'> {
    return {
      targets: this.#plan.size,
      targetsCovered: this.#covered,
      targetsProbed: this.#covered - sumUnsent(this.#unsent),
      ...this.#unsent,
      shards: this.#plan.shardCount,
      shardsStored: this.#stored.size,
      rows: this.#rows,
      violations: this.#faults,
      examples: this.#examples,
    };
  }
}

const FIELD_INDEX = new Map(FIELDS.map(({ name }, i) => [name, i]));

function named(row: Row): Record<string, Value> {
  const names = ['shard', 'position', 'saddr', 'probe', 'sport', 'agent', 'classification'];
  return Object.fromEntries(names.map((name) => [name, row[FIELD_INDEX.get(name) ?? 0] ?? null]));
}
