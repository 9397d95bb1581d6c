/**
 * What became of each shard: waiting, on offer, leased, stored. A fold over events, with memory for
 * the shards under way only: below the frontier everything is stored, and beyond the horizon nothing
 * has been offered yet.
 */
import { assert } from '../../shared/base/assert.js';
import { type Lease, lastReport } from '../../shared/survey/lease.js';

/** Sums over positions. */
export interface LedgerTotals {
  sent: number;
  lost: number;
  excluded: number;
  synack: number;
  rst: number;
  icmp: number;
}

/** What is stored of a shard. */
export interface StoredShard {
  readonly shard: number;
  /** Positions that its segment covers: all of the shard, or fewer where the survey was cancelled. */
  readonly covered: number;
  readonly rows: number;
}

type ShardState = 'offered' | 'leased' | 'stored';

export class Ledger {
  readonly shardCount: number;
  readonly #shards = new Map<number, ShardState>();
  readonly #leases = new Map<number, Lease>();
  /** Shards below it are stored. */
  #frontier = 0;
  /** Shards from it on have not been offered. */
  #horizon = 0;
  #offered = 0;
  #stored = 0;
  #covered = 0;
  #rows = 0;
  readonly #settledTotals = emptyTotals();

  constructor(shardCount: number) {
    this.shardCount = shardCount;
  }

  get stored(): number {
    return this.#stored;
  }
  get covered(): number {
    return this.#covered;
  }
  get rows(): number {
    return this.#rows;
  }
  get isComplete(): boolean {
    return this.#stored === this.shardCount;
  }

  /** Shards that are leased and not stored, with their leases. */
  get underWay(): readonly Lease[] {
    return [...this.#leases.values()];
  }

  /** The lease of a shard that is leased and not stored. */
  leaseOf(shard: number): Lease | undefined {
    return this.#leases.get(shard);
  }

  isStored(shard: number): boolean {
    return shard < this.#frontier || this.#shards.get(shard) === 'stored';
  }

  /** The shards to offer next, so that `window` are on offer; they count as offered from now on. */
  offerNext(window: number): number[] {
    const next: number[] = [];
    while (this.#offered < window && this.#horizon < this.shardCount) {
      const shard = this.#horizon++;
      if (this.#shards.has(shard) || shard < this.#frontier) continue;
      this.#shards.set(shard, 'offered');
      this.#offered++;
      next.push(shard);
    }
    return next;
  }

  /** A lease was opened, checkpointed or ended. */
  leased(lease: Lease): void {
    if (this.isStored(lease.shard)) return;
    if (this.#shards.get(lease.shard) === 'offered') this.#offered--;
    this.#shards.set(lease.shard, 'leased');
    this.#leases.set(lease.shard, lease);
  }

  /** The shard's segment is durable. */
  storedNow({ shard, covered, rows }: StoredShard): void {
    assert(!this.isStored(shard), `shard ${shard} is stored once`);
    if (this.#shards.get(shard) === 'offered') this.#offered--;
    const lease = this.#leases.get(shard);
    if (lease !== undefined) addTotals(this.#settledTotals, lease);
    this.#leases.delete(shard);
    this.#shards.set(shard, 'stored');
    this.#stored++;
    this.#covered += covered;
    this.#rows += rows;
    while (this.#shards.get(this.#frontier) === 'stored') this.#shards.delete(this.#frontier++);
  }

  get totals(): LedgerTotals {
    const totals = { ...this.#settledTotals };
    for (const lease of this.#leases.values()) addTotals(totals, lease);
    return totals;
  }
}

/** The agent that holds a lease now. */
export function holderOf(lease: Lease): string | undefined {
  return lease.state === 'held' ? lastReport(lease)?.agent : undefined;
}

function emptyTotals(): LedgerTotals {
  return { sent: 0, lost: 0, excluded: 0, synack: 0, rst: 0, icmp: 0 };
}

function addTotals(totals: LedgerTotals, { reports }: Lease): void {
  for (const report of reports) {
    totals.sent += report.sent - report.from - report.lost - report.excluded;
    totals.lost += report.lost;
    totals.excluded += report.excluded;
    totals.synack += report.synack;
    totals.rst += report.rst;
    totals.icmp += report.icmp;
  }
}
