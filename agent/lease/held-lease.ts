/**
 * A lease as its holder sees it: won by compare-and-set, renewed by compare-and-set, and lost the
 * moment a compare-and-set fails. Whatever the queue says, this record decides.
 */
import type { Clock } from '../../shared/base/clock.js';
import type { LeaseStore } from '../../shared/bus/interfaces.js';
import {
  type Counts,
  type EpochRecord,
  emptyEpoch,
  type Lease,
  type LeaseState,
  lastEpoch,
  settledUpToOf,
} from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';

export interface Holder {
  readonly agent: string;
  readonly vantage: string;
  /** Of the rules by which it holds back targets itself; empty where it has none. */
  readonly rulesHash: string;
}

/** What changes in a report while its epoch lasts. */
export type Progress = Pick<
  EpochRecord,
  'sentUpTo' | 'probesSent' | 'settledUpTo' | 'batches' | 'versionSpans'
> &
  Counts;

export type Acquired =
  | { readonly outcome: 'held'; readonly heldLease: HeldLease }
  /** Nothing is left to do for this shard. */
  | { readonly outcome: 'settled' }
  /** Another agent was faster. */
  | { readonly outcome: 'taken' };

/**
 * Opens the next epoch of a shard, which starts where the one before had settled.
 * @param survey leases of before its first epoch say nothing
 */
export async function acquire(
  book: LeaseStore,
  survey: Pick<Survey, 'id' | 'firstEpoch'>,
  shard: Shard,
  holder: Holder,
  clock: Clock,
): Promise<Acquired> {
  const found = await book.read(survey.id, shard.number);
  const last = found && lastEpoch(found.value);
  const known = last !== undefined && last.epoch >= survey.firstEpoch ? found?.value : undefined;
  if (known?.state === 'settled') return { outcome: 'settled' };
  const from = settledUpToOf(known, shard);
  const now = clock.wall();
  const report: EpochRecord = {
    ...holder,
    epoch: Math.max(survey.firstEpoch, (last?.epoch ?? 0) + 1),
    ...emptyEpoch(from),
    sentUpTo: from,
    probesSent: 0,
    startedAt: now,
    updatedAt: now,
    versionSpans: [],
  };
  // Epochs in which nothing was sent say nothing: a shard that goes from hand to hand stays small.
  const before = (known?.epochs ?? []).filter(({ sentUpTo, from: began }) => sentUpTo > began);
  const epochs = [...before, report];
  const lease: Lease = { survey: survey.id, shard: shard.number, state: 'held', epochs };
  const revision = await book.write(lease, found?.revision ?? 0);
  if (revision === undefined) return { outcome: 'taken' };
  return { outcome: 'held', heldLease: new HeldLease(book, lease, revision, clock) };
}

export class HeldLease {
  readonly epoch: number;
  readonly from: number;
  readonly #book: LeaseStore;
  readonly #clock: Clock;
  #lease: Lease;
  #revision: number;

  constructor(book: LeaseStore, lease: Lease, revision: number, clock: Clock) {
    this.#book = book;
    this.#clock = clock;
    this.#lease = lease;
    this.#revision = revision;
    this.epoch = this.report.epoch;
    this.from = this.report.from;
  }

  get report(): EpochRecord {
    return this.#lease.epochs.at(-1) as EpochRecord;
  }

  /** Whether the lease is still as we wrote it last. */
  async isOurs(): Promise<boolean> {
    const { survey, shard } = this.#lease;
    return (await this.#book.read(survey, shard))?.revision === this.#revision;
  }

  /** Writes a checkpoint. @returns false where the lease is lost: stop at once */
  async checkpoint(progress: Progress, state: LeaseState): Promise<boolean> {
    const report = { ...this.report, ...progress, updatedAt: this.#clock.wall() };
    const epochs = [...this.#lease.epochs.slice(0, -1), report];
    const lease = { ...this.#lease, state, epochs };
    const revision = await this.#book.write(lease, this.#revision);
    if (revision === undefined) return false;
    this.#lease = lease;
    this.#revision = revision;
    return true;
  }
}
