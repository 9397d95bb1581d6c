/**
 * A lease at its holder: checkpoints are written by compare-and-set, and the lease is lost the moment one
 * fails. The lease record decides which agent may probe a shard, whatever the work queue delivers.
 */
import { assert } from '../../shared/base/assert.js';
import type { Clock } from '../../shared/base/clock.js';
import type { LeaseStore } from '../../shared/bus/interfaces.js';
import type { IcmpFindings } from '../../shared/survey/icmp-findings.js';
import type { Counts, EpochRecord, Lease, LeaseState } from '../../shared/survey/lease.js';

/** The fields of an epoch record that a checkpoint changes. */
export type Progress = Counts &
  IcmpFindings &
  Pick<EpochRecord, 'sentUpTo' | 'probesSent' | 'settledUpTo' | 'batches' | 'versionSpans'>;

export class HeldLease {
  readonly epoch: number;
  /** The position where this epoch starts. */
  readonly from: number;
  readonly #leases: LeaseStore;
  readonly #clock: Clock;
  #lease: Lease;
  #revision: number;

  constructor(leases: LeaseStore, lease: Lease, revision: number, clock: Clock) {
    assert(lease.epochs.length > 0, 'this lease is held, but has no epoch');
    this.#leases = leases;
    this.#clock = clock;
    this.#lease = lease;
    this.#revision = revision;
    this.epoch = this.record.epoch;
    this.from = this.record.from;
  }

  /** The record of our epoch, as we last wrote it. */
  get record(): EpochRecord {
    return this.#lease.epochs.at(-1) as EpochRecord;
  }

  /** True if the lease record is still the one that we wrote last. */
  async isOurs(): Promise<boolean> {
    const { survey, shard } = this.#lease;
    return (await this.#leases.read(survey, shard))?.revision === this.#revision;
  }

  /** Writes a checkpoint. @returns false if the lease is lost; the holder must then stop at once */
  async checkpoint(progress: Progress, state: LeaseState): Promise<boolean> {
    const { sentUpTo, settledUpTo } = this.record;
    assert(
      progress.sentUpTo >= sentUpTo,
      `sentUpTo decreases from ${sentUpTo} to ${progress.sentUpTo}`,
    );
    assert(progress.settledUpTo >= settledUpTo, `settledUpTo decreases to ${progress.settledUpTo}`);
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
