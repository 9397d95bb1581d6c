/**
 * The shard table (the ledger): the state of each shard, from waiting to leased and stored. It is updated by
 * events, and has entries for shards in progress only: stored shards are intervals, and shards from
 * `#nextToLease` on have not been leased yet.
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

interface SettledReplies {
  probesSent: number;
  replies: number;
}

/** Sums of one agent, over stored shards. */
export interface AgentTotals extends ShardTotals {
  readonly vantage: string;
  targetsSettled: number;
}

export class ShardTable {
  readonly shardCount: number;
  readonly #stored = new IntervalSet();
  /** The leases of shards that are not stored, with the revisions of their records; 0 if there is none yet. */
  readonly #leases = new Map<number, Versioned<Lease>>();
  /** Shards that were leased, and may be leased again: they were released, or their holder is gone. */
  readonly #free = new Set<number>();
  /** Shards held, by agent. */
  readonly #held = new Map<string, Set<number>>();
  /** When each lease last changed; the oldest first. */
  readonly #unchangedSince = new Map<number, number>();
  /** The highest revision of all lease records. */
  #lastRevision = 0;
  /** All lower shards have been leased or stored. */
  #nextToLease = 0;
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
  /** True while a shard may be leased. */
  get hasNext(): boolean {
    this.#passLeased();
    return this.#free.size > 0 || this.#nextToLease < this.shardCount;
  }
  get agents(): ReadonlyMap<string, AgentTotals> {
    return this.#agents;
  }

  /** The leases of shards that are not stored. */
  get leases(): readonly Lease[] {
    return [...this.#leases.values()].map(({ value }) => value);
  }

  /** The agents that hold shards. */
  get holders(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** The shards that an agent holds. */
  heldBy(agent: string): readonly number[] {
    return [...(this.#held.get(agent) ?? [])];
  }

  /** The number of shards that an agent holds. */
  countHeldBy(agent: string): number {
    return this.#held.get(agent)?.size ?? 0;
  }

  /**
   * By agent: the number of settled positions, which is given as `probesSent`, and of answered ones, given as
   * `replies`.
   */
  get repliesByAgent(): ReadonlyMap<string, Readonly<SettledReplies>> {
    const sums = new Map<string, SettledReplies>();
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
   * The shard to lease next; undefined if there is none. It stays the next one until its lease is known.
   * @param mayTake false for a free shard that is meant for another agent
   */
  next(mayTake: (shard: number) => boolean): number | undefined {
    if (!this.hasNext) return undefined;
    for (const shard of this.#free) if (mayTake(shard)) return shard;
    return this.#nextToLease < this.shardCount ? this.#nextToLease : undefined;
  }

  /** Moves on to the first shard that was never leased. */
  #passLeased(): void {
    while (this.#nextToLease < this.shardCount) {
      const shard = this.#stored.firstGap(this.#nextToLease);
      this.#nextToLease = Math.min(shard, this.shardCount);
      if (shard >= this.shardCount || !this.#leases.has(shard)) return;
      this.#nextToLease++;
    }
  }

  /** Lets the shards of an agent be leased again, although it has not released them. */
  freeShardsOf(agent: string): void {
    for (const shard of this.heldBy(agent)) this.#free.add(shard);
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

  /** Records that a lease was opened, reported, revoked or ended. @param revision of its record, if it was read */
  onLease(lease: Lease, now: number, revision?: number): void {
    const { shard, state } = lease;
    if (this.#stored.has(shard)) return;
    const known = this.#leases.get(shard);
    this.#countHolder(known?.value, false);
    this.#countHolder(lease, true);
    this.#leases.set(shard, { value: lease, revision: revision ?? known?.revision ?? 0 });
    if (state === 'released') this.#free.add(shard);
    else this.#free.delete(shard);
    this.#unchangedSince.delete(shard);
    this.#unchangedSince.set(shard, now);
    for (const epoch of lease.epochs) this.findings.add(epoch);
  }

  /** Records that the holder of a shard has reported it: nobody else may lease it. */
  onReported(shard: number): void {
    if (this.leaseOf(shard)?.state === 'held') this.#free.delete(shard);
  }

  /** Records that a lease's record was written. */
  onWritten(shard: number, revision: number): void {
    this.#lastRevision = Math.max(this.#lastRevision, revision);
    const known = this.#leases.get(shard);
    if (known !== undefined) this.#leases.set(shard, { ...known, revision });
  }

  /** The revision of a lease's record; 0 if none was written. */
  revisionOf(shard: number): number {
    return this.#leases.get(shard)?.revision ?? 0;
  }

  /** Records that a shard is stored: its rows are durable, and its entry is in the journal. */
  onStored({ shard, from, to, coveredUpTo, rowCount, epochs }: ShardEntry): void {
    assert(this.#stored.add(shard), `shard ${shard} is stored twice`);
    const lease = this.#leases.get(shard);
    this.#countHolder(lease?.value, false);
    this.#leases.delete(shard);
    this.#free.delete(shard);
    this.#unchangedSince.delete(shard);
    addTotals(this.#totals, epochs);
    for (const report of epochs) {
      addTotals(this.#agentOf(report), [report]);
      this.findings.add(report);
    }
    this.#covered += coveredUpTo - from;
    this.#rows += rowCount;
    if (coveredUpTo < to) this.incomplete.push({ shard, from, to, coveredUpTo });
  }

  /** Counts probes that were sent for cross-checks. */
  onChecked(probesSent: number): void {
    this.#totals.probesSent += probesSent;
  }

  /** Lease records with revisions below this one belong to stored shards. */
  get purgeableRevision(): number {
    let least = this.#lastRevision + 1; // records not written yet get higher revisions
    for (const { revision } of this.#leases.values())
      if (revision > 0) least = Math.min(least, revision);
    return least;
  }

  get totals(): ShardTotals {
    const totals = { ...this.#totals, replies: { ...this.#totals.replies } };
    for (const { value } of this.#leases.values()) addTotals(totals, value.epochs);
    return totals;
  }

  #countHolder(lease: Lease | undefined, isHeld: boolean): void {
    const agent = lease && holderOf(lease);
    if (lease === undefined || agent === undefined) return;
    const shards = this.#held.get(agent) ?? new Set<number>();
    if (isHeld) shards.add(lease.shard);
    else shards.delete(lease.shard);
    if (shards.size > 0) this.#held.set(agent, shards);
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
