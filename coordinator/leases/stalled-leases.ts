/**
 * Leases whose holders send nothing, or hardly anything, while other agents have no work: they are reclaimed. An agent
 * that is slow is asked to release its shards before (`stragglers.ts`); this is for agents that hold them
 * nevertheless. Before the end of a survey such agents do no harm, because others get other shards.
 */
import { type Lease, lastEpoch } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';

/** A lease is looked at after this time and the cooldown, in which settling may be all that is left to do. */
const PATIENCE_MILLIS = 30_000;
/** A shard that advances, but slowly, is reclaimed at most so many times. */
const RECLAIMS_MAX = 2;

/** The progress of a lease at some time. */
interface Sample {
  readonly epoch: number;
  readonly at: number;
  readonly sentUpTo: number;
  readonly settledUpTo: number;
  readonly probesSent: number;
}

export class StalledLeases {
  readonly #plan: Plan;
  /** In milliseconds. */
  readonly #cooldown: number;
  readonly #samples = new Map<number, Sample>();
  readonly #reclaims = new Map<number, number>();

  constructor(plan: Plan, cooldown: number) {
    this.#plan = plan;
    this.#cooldown = cooldown;
  }

  /**
   * The leases to reclaim. Called often while agents are idle and all shards are leased; time counts from the first
   * call on.
   */
  of(leases: readonly Lease[], now: number): readonly Lease[] {
    const found = leases.filter((lease) => this.#isStalled(lease, now));
    for (const { shard } of found) {
      this.#samples.delete(shard);
      this.#reclaims.set(shard, (this.#reclaims.get(shard) ?? 0) + 1);
    }
    return found;
  }

  /** Restarts the measurement: sending was not possible, or there is other work. */
  reset(): void {
    this.#samples.clear();
  }

  #isStalled(lease: Lease, now: number): boolean {
    const { shard, state } = lease;
    const epoch = lastEpoch(lease);
    if (state !== 'held' || epoch === undefined) return false;
    const { sentUpTo, settledUpTo, probesSent } = epoch;
    const before = this.#samples.get(shard);
    const limit = PATIENCE_MILLIS + this.#cooldown;
    if (before?.epoch === epoch.epoch && now - before.at < limit) return false;
    this.#samples.set(shard, { epoch: epoch.epoch, at: now, sentUpTo, settledUpTo, probesSent });
    if (before?.epoch !== epoch.epoch) return false;
    const sent = sentUpTo - before.sentUpTo;
    const { to } = this.#plan.shard(shard);
    // Near the end of a shard, there are repeats, deferred probes, and replies to wait for.
    const isIdle = probesSent === before.probesSent && settledUpTo === before.settledUpTo;
    if (sent === 0) return isIdle;
    const isSlow = ((to - sentUpTo) / sent) * (now - before.at) > limit;
    return isSlow && (this.#reclaims.get(shard) ?? 0) < RECLAIMS_MAX;
  }
}
