/**
 * A lease as its holder sees it: won by compare-and-set, renewed by compare-and-set, and lost the moment a
 * compare-and-set fails. The lease record decides who may probe a shard, whatever the work queue delivers.
 */
import { assert } from '../../shared/base/assert.js';
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
  /** Of the agent's own blocklist rules; empty if it has none. */
  readonly rulesHash: string;
}

/** The fields of an epoch record that a checkpoint changes. */
export type Progress = Counts &
  Pick<EpochRecord, 'sentUpTo' | 'probesSent' | 'settledUpTo' | 'batches' | 'versionSpans'>;

export type Acquired =
  | { readonly outcome: 'held'; readonly lease: HeldLease }
  /** Nothing is left to do for this shard. */
  | { readonly outcome: 'settled' }
  /** Another agent was faster. */
  | { readonly outcome: 'taken' };

/**
 * Opens the next epoch of a shard, which starts where the previous one had settled.
 * @param survey leases before its first epoch do not count
 */
export async function acquire(
  leases: LeaseStore,
  survey: Pick<Survey, 'id' | 'firstEpoch'>,
  shard: Shard,
  holder: Holder,
  clock: Clock,
): Promise<Acquired> {
  const found = await leases.read(survey.id, shard.number);
  const last = found && lastEpoch(found.value);
  const known = last !== undefined && last.epoch >= survey.firstEpoch ? found?.value : undefined;
  if (known?.state === 'settled') return { outcome: 'settled' };
  const from = settledUpToOf(known, shard);
  const now = clock.wall();
  const record: EpochRecord = {
    ...holder,
    epoch: Math.max(survey.firstEpoch, (last?.epoch ?? 0) + 1),
    ...emptyEpoch(from),
    sentUpTo: from,
    probesSent: 0,
    startedAt: now,
    updatedAt: now,
    versionSpans: [],
  };
  // Epochs in which nothing was sent are dropped, so that a shard with many holders stays small.
  const earlier = (known?.epochs ?? []).filter(({ sentUpTo, from: start }) => sentUpTo > start);
  const epochs = [...earlier, record];
  const lease: Lease = { survey: survey.id, shard: shard.number, state: 'held', epochs };
  const revision = await leases.write(lease, found?.revision ?? 0);
  if (revision === undefined) return { outcome: 'taken' };
  return { outcome: 'held', lease: new HeldLease(leases, lease, revision, clock) };
}

export class HeldLease {
  readonly epoch: number;
  /** The position where this epoch starts. */
  readonly from: number;
  readonly #leases: LeaseStore;
  readonly #clock: Clock;
  #lease: Lease;
  #revision: number;

  constructor(leases: LeaseStore, lease: Lease, revision: number, clock: Clock) {
    assert(lease.epochs.length > 0, 'a held lease has no epoch');
    this.#leases = leases;
    this.#clock = clock;
    this.#lease = lease;
    this.#revision = revision;
    this.epoch = this.record.epoch;
    this.from = this.record.from;
  }

  /** The record of our epoch, as written last. */
  get record(): EpochRecord {
    return this.#lease.epochs.at(-1) as EpochRecord;
  }

  /** True if the lease record is still the one that we wrote last. */
  async isOurs(): Promise<boolean> {
    const { survey, shard } = this.#lease;
    return (await this.#leases.read(survey, shard))?.revision === this.#revision;
  }

  /** Writes a checkpoint. @returns false if the lease is lost: then stop at once */
  async checkpoint(progress: Progress, state: LeaseState): Promise<boolean> {
    const { sentUpTo, settledUpTo } = this.record;
    assert(
      progress.sentUpTo >= sentUpTo,
      `sent falls back from ${sentUpTo} to ${progress.sentUpTo}`,
    );
    assert(progress.settledUpTo >= settledUpTo, `settled falls back to ${progress.settledUpTo}`);
    const record = { ...this.record, ...progress, updatedAt: this.#clock.wall() };
    const epochs = [...this.#lease.epochs.slice(0, -1), record];
    const lease = { ...this.#lease, state, epochs };
    const revision = await this.#leases.write(lease, this.#revision);
    if (revision === undefined) return false;
    this.#lease = lease;
    this.#revision = revision;
    return true;
  }
}
