/**
 * What a coordinator does to leases: it forgets those that nobody needs, disowns the deaf, and sees to
 * those that stand still because the broker has lost what would move them.
 */
import { describeError } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { LeaseStore, ShardQueue } from '../../shared/bus/interfaces.js';
import { type Lease, lastEpoch, rewound } from '../../shared/survey/lease.js';
import type { Log } from '../../shared/telemetry/log.js';
import type { ShardTracker } from '../storage/shard-tracker.js';

/** A lease that has not moved for so long is looked into. */
const STILL_MILLIS = 60_000;
/** A lease that moves away under our hands is tried again so often. */
const TRIES = 10;

export interface LeaseMaintenanceDeps {
  readonly book: LeaseStore;
  readonly work: ShardQueue;
  readonly tracker: ShardTracker;
  /** The first report of a lease of which the stream has lost a batch. */
  readonly epochWithLostBatch: (lease: Lease) => number | undefined;
  readonly log: Log;
}

export class LeaseMaintenance {
  readonly #survey: string;
  readonly #parts: LeaseMaintenanceDeps;
  /** Revisions below it are of shards below the last frontier that was told. */
  #forgettable = 0;

  constructor(survey: string, deps: LeaseMaintenanceDeps) {
    this.#survey = survey;
    this.#parts = deps;
  }

  /**
   * Forgets the leases of shards below the frontier that agents were told last time, so that a huge
   * survey keeps no more records than a small one. Agents that hear of such a shard once more (brokers
   * repeat old messages) know by the frontier that it is stored.
   * @param told the frontier that agents know
   * @returns the frontier to tell them now; undefined where it is the same
   */
  async forget(told: number): Promise<number | undefined> {
    const { book, tracker } = this.#parts;
    const { storedBelow, purgeableRevision } = tracker;
    if (storedBelow <= told) return undefined;
    if (this.#forgettable > 0) await book.forget(this.#survey, this.#forgettable);
    this.#forgettable = purgeableRevision;
    return storedBelow;
  }

  /** Takes from an agent what it has not settled; others begin where it began. Never rejects. */
  async revoke(agent: string): Promise<void> {
    const isIts = (lease: Lease) => lastEpoch(lease)?.agent === agent && lease.state !== 'settled';
    const its = this.#parts.tracker.leases.filter(isIts);
    const disowned = (lease: Lease) =>
      isIts(lease) ? rewound(lease, lease.epochs.length - 1) : undefined;
    await Promise.all(its.map(({ shard }) => this.#change(shard, disowned)));
  }

  /**
   * Sees to leases that have long stood still. A broker whose host lost power may have lost batches that
   * it had acknowledged: these are probed again. Or it lost the offer that would bring a shard to its
   * next holder: it is made again, which changes nothing where it is still there. Never rejects.
   * @param isOffering whether shards are on offer at present
   */
  async repair(now: number, isOffering: boolean): Promise<void> {
    const { tracker, work, epochWithLostBatch } = this.#parts;
    const still = tracker.takeStalled(now - STILL_MILLIS, now, LIMITS.dispatchWindow);
    for (const lease of still) {
      const lost = epochWithLostBatch(lease);
      if (lost !== undefined) await this.#rewind(lease, lost);
      if (isOffering && (lost !== undefined || lease.state !== 'settled'))
        await work.offer(this.#survey, lease.shard);
    }
  }

  async #rewind({ shard, epochs }: Lease, first: number): Promise<void> {
    const epoch = epochs[first]?.epoch;
    const told = { survey: this.#survey, shard, epoch };
    this.#parts.log.warn(told, 'the broker has lost rows: what they were of is probed again');
    await this.#change(shard, (lease) =>
      lease.epochs[first]?.epoch === epoch ? rewound(lease, first) : undefined,
    );
  }

  /** Changes a lease, unless there is nothing to change about it any more. Never rejects. */
  async #change(shard: number, changed: (lease: Lease) => Lease | undefined): Promise<void> {
    const { book, log } = this.#parts;
    try {
      for (let tries = TRIES; tries > 0; tries--) {
        const found = await book.read(this.#survey, shard);
        const lease = found && changed(found.value);
        if (lease === undefined || (await book.write(lease, found?.revision ?? 0)) !== undefined)
          return;
      }
    } catch (error) {
      const told = { survey: this.#survey, shard, error: describeError(error) };
      log.error(told, 'a lease could not be changed');
    }
  }
}
