/**
 * The shard table (the ledger): the state of each shard, from waiting to offered, leased and stored. It is
 * updated by events, and has entries for shards in progress only: stored shards are intervals, and shards
 * from `#nextToOffer` on have not been offered yet.
 */
import { assert } from '../../shared/base/assert.js';
import { IntervalSet } from '../../shared/base/intervals.js';
import type { Versioned } from '../../shared/bus/interfaces.js';
import { FindingsLog } from '../../shared/survey/icmp-findings.js';
import { addReplies, type Lease, lastEpoch, sumReplies } from '../../shared/survey/lease.js';
import {
  noneUnsent,
  sumUnsent,
  UNSENT_NAMES,
  type UnsentCounts,
} from '../../shared/survey/unsent.js';
import type { ShardEntry } from './journal.js';

/** Sums over positions. */
export interface ShardTotals extends UnsentCounts {
  probesSent: number;
  /** By class. */
  replies: Record<string, number>;
}

/** Sums of one agent, over stored shards. */
export interface AgentTotals extends ShardTotals {
  readonly vantage: string;
  targetsSettled: number;
}

/**
 * A shard that was not leased within this time is offered again, which changes nothing if its first offer
 * still exists.
 */
const OFFER_AGAIN_MILLIS = 60_000;

export class ShardTable {
  readonly shardCount: number;
  readonly #stored = new IntervalSet();
  /** Shards on offer, and when they were offered. */
  readonly #offered = new Map<number, number>();
  /** The leases of shards that are not stored. */
  readonly #leases = new Map<number, Versioned<Lease>>();
  /** Leases held, by agent. */
  readonly #held = new Map<string, number>();
  /** When each lease last changed; the oldest first. */
  readonly #unchangedSince = new Map<number, number>();
  /** Revisions of the leases of stored shards above the low watermark. */
  readonly #storedLeaseRevisions = new Map<number, number>();
  /** The highest revision of all leases seen. */
  #lastRevision = 0;
  /** All lower shards have been offered, leased or stored. */
  #nextToOffer = 0;
  #storedBelow = 0;
  #covered = 0;
  #rows = 0;
  readonly #totals = emptyTotals();
  readonly #agents = new Map<string, AgentTotals>();
  readonly findings = new FindingsLog();
  /** Shards that are stored in part. */
  readonly incomplete: Pick<ShardEntry, 'shard' | 'from' | 'to' | 'coveredUpTo'>[] = [];

  constructor(shardCount: number) {
    this.shardCount = shardCount;
  }

  get shardsStored(): number {
    return this.#stored.size;
  }
  get targetsCovered(): number {
    return this.#covered;
  }
  get rowsStored(): number {
    return this.#rows;
  }
  get isComplete(): boolean {
    return this.#stored.size === this.shardCount;
  }
  /**
   * True if a complete survey has probed everything: no shard is stored in part only, and no target was left
   * out because the survey ended early.
   */
  get isWhole(): boolean {
    return this.incomplete.length === 0 && this.totals.prohibited === 0;
  }
  /** The low watermark: all lower shards are stored. */
  get storedBelow(): number {
    return this.#storedBelow;
  }
  /** True once every shard has been leased at some time. */
  get isFullyLeased(): boolean {
    return this.#nextToOffer === this.shardCount && this.#offered.size === 0;
  }
  get agents(): ReadonlyMap<string, AgentTotals> {
    return this.#agents;
  }

  /** The leases of shards that are not stored. */
  get leases(): readonly Lease[] {
    return [...this.#leases.values()].map(({ value }) => value);
  }

  /** True if an agent holds the lease of any shard. */
  isHolder(agent: string): boolean {
    return this.#held.has(agent);
  }

  /**
   * By agent: the number of settled positions, which is given as `probesSent`, and of answered ones, given as
   * `replies`.
   */
  get repliesByAgent(): ReadonlyMap<
    string,
    { readonly probesSent: number; readonly replies: number }
  > {
    const sums = new Map<string, { probesSent: number; replies: number }>();
    const add = (agent: string, probesSent: number, replies: number) => {
      const sum = sums.get(agent) ?? { probesSent: 0, replies: 0 };
      sums.set(agent, { probesSent: sum.probesSent + probesSent, replies: sum.replies + replies });
    };
    for (const [agent, { targetsSettled, replies }] of this.#agents)
      add(agent, targetsSettled, sumReplies(replies));
    for (const { value } of this.#leases.values()) {
      for (const { agent, from, settledUpTo, replies } of value.epochs)
        add(agent, settledUpTo - from, sumReplies(replies));
    }
    return sums;
  }

  /** Settled positions that were probed, and their replies by class. */
  get settledReplies(): {
    readonly settled: number;
    readonly replies: Readonly<Record<string, number>>;
  } {
    let settled = 0;
    for (const { probesSent } of this.repliesByAgent.values()) settled += probesSent;
    const { totals } = this;
    return { settled: settled - sumUnsent(totals), replies: totals.replies };
  }

  /** The lease of a shard that is not stored. */
  leaseOf(shard: number): Lease | undefined {
    return this.#leases.get(shard)?.value;
  }

  isStored(shard: number): boolean {
    return this.#stored.has(shard);
  }
  /** True if all shards of [from, to) are stored. */
  areStored(from: number, to: number): boolean {
    return this.#stored.hasAll(from, to);
  }

  /**
   * The shards to offer next, so that `window` shards are on offer; they count as offered from now on. Shards
   * that were not leased for a long time are offered again, because a broker that lost power may have lost
   * their offers.
   */
  offerNext(window: number, now: number): number[] {
    const next: number[] = [];
    for (const [shard, since] of this.#offered) {
      if (now - since < OFFER_AGAIN_MILLIS) break; // the others are younger
      this.#offered.delete(shard);
      this.#offered.set(shard, now);
      next.push(shard);
    }
    while (this.#offered.size < window && this.#nextToOffer < this.shardCount) {
      const shard = this.#stored.firstGap(this.#nextToOffer);
      this.#nextToOffer = Math.min(shard + 1, this.shardCount);
      if (shard >= this.shardCount || this.#leases.has(shard)) continue;
      this.#offered.set(shard, now);
      next.push(shard);
    }
    return next;
  }

  /**
   * Takes up to `most` leases that have not changed since `before`. They count as changed at `now`, so that
   * they are not taken again soon.
   */
  takeStalled(before: number, now: number, most: number): Lease[] {
    const still: Lease[] = [];
    for (const [shard, since] of this.#unchangedSince) {
      if (since > before || still.length === most) break; // the others are younger
      this.#unchangedSince.delete(shard);
      this.#unchangedSince.set(shard, now);
      const lease = this.leaseOf(shard);
      if (lease !== undefined) still.push(lease);
    }
    return still;
  }

  /** Records that a lease was opened, checkpointed or ended. */
  onLease(lease: Versioned<Lease>, now: number): void {
    const { shard } = lease.value;
    this.#lastRevision = Math.max(this.#lastRevision, lease.revision);
    if (shard < this.#storedBelow) return;
    if (this.#stored.has(shard)) {
      this.#storedLeaseRevisions.set(shard, lease.revision);
      return;
    }
    const known = this.#leases.get(shard);
    if (known !== undefined && known.revision > lease.revision) return;
    this.#offered.delete(shard);
    this.#countHolder(known?.value, -1);
    this.#countHolder(lease.value, 1);
    this.#leases.set(shard, lease);
    this.#unchangedSince.delete(shard);
    this.#unchangedSince.set(shard, now);
    for (const epoch of lease.value.epochs) this.findings.add(epoch);
  }

  /** Records that a shard is stored: its rows are durable, and its entry is in the journal. */
  onStored({ shard, from, to, coveredUpTo, rowCount, epochs }: ShardEntry): void {
    assert(this.#stored.add(shard), `shard ${shard} is stored twice`);
    const lease = this.#leases.get(shard);
    this.#offered.delete(shard);
    this.#countHolder(lease?.value, -1);
    this.#leases.delete(shard);
    this.#unchangedSince.delete(shard);
    if (lease !== undefined) this.#storedLeaseRevisions.set(shard, lease.revision);
    addTotals(this.#totals, epochs);
    for (const report of epochs) {
      addTotals(this.#agentOf(report), [report]);
      this.findings.add(report);
    }
    this.#covered += coveredUpTo - from;
    this.#rows += rowCount;
    if (coveredUpTo < to) this.incomplete.push({ shard, from, to, coveredUpTo });
    const before = this.#storedBelow;
    this.#storedBelow = this.#stored.firstGap(before);
    for (let below = before; below < this.#storedBelow; below++)
      this.#storedLeaseRevisions.delete(below);
  }

  /** Lease records with revisions below this one belong to shards below the low watermark, and can be purged. */
  get purgeableRevision(): number {
    let least = this.#lastRevision + 1; // leases not seen yet have higher revisions
    for (const { revision } of this.#leases.values()) least = Math.min(least, revision);
    for (const revision of this.#storedLeaseRevisions.values()) least = Math.min(least, revision);
    return least;
  }

  get totals(): ShardTotals {
    const totals = { ...this.#totals, replies: { ...this.#totals.replies } };
    for (const { value } of this.#leases.values()) addTotals(totals, value.epochs);
    return totals;
  }

  #countHolder(lease: Lease | undefined, change: number): void {
    const agent = lease && holderOf(lease);
    if (agent === undefined) return;
    const count = (this.#held.get(agent) ?? 0) + change;
    if (count > 0) this.#held.set(agent, count);
    else this.#held.delete(agent);
  }

  #agentOf({ agent, vantage, from, settledUpTo }: ShardEntry['epochs'][number]): AgentTotals {
    const totals = this.#agents.get(agent) ?? { vantage, targetsSettled: 0, ...emptyTotals() };
    this.#agents.set(agent, totals);
    totals.targetsSettled += settledUpTo - from;
    return totals;
  }
}

/** The agent that holds a lease now. */
export function holderOf(lease: Lease): string | undefined {
  return lease.state === 'held' ? lastEpoch(lease)?.agent : undefined;
}

function emptyTotals(): ShardTotals {
  return { probesSent: 0, replies: {}, ...noneUnsent() };
}

function addTotals(totals: ShardTotals, epochs: Lease['epochs']): void {
  for (const report of epochs) {
    totals.probesSent += report.probesSent;
    for (const name of UNSENT_NAMES) totals[name] += report[name];
    addReplies(totals.replies, report.replies);
  }
}
