/**
 * Gathers the batches of each shard until its lease says that all are there, and assembles its rows:
 * those that their epoch owns, one per position. Which batches belong is decided by the lease alone
 * (epoch e owns [from, settled) of its report and the batches [0, batches)), so a batch that comes
 * twice, late, or from an agent that lost its lease changes nothing.
 */
import type { ResultDelivery } from '../../shared/bus/interfaces.js';
import { outranks } from '../../shared/probe/classification.js';
import { type EpochRecord, type Lease, lastEpoch } from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import { isUnsent } from '../../shared/survey/unsent.js';

/** One row within its batch. */
export interface RowRef {
  readonly batch: ResultBatch;
  readonly row: number;
}

const NONE = -1;

/** The rows of a shard by position: the one that says most of each. */
export class ShardRows {
  count = 0;
  /** By offset: why no probe left, an `UNSENT` code; 0 where one did. */
  readonly unsent: Uint8Array;
  readonly #shard: Shard;
  readonly #batches: ResultBatch[] = [];
  /** By offset: a place in `#batches`, and a row of that batch. */
  readonly #batchAt: Int32Array;
  readonly #rowAt: Int32Array;

  constructor(shard: Shard) {
    this.#shard = shard;
    this.#batchAt = new Int32Array(shard.to - shard.from).fill(NONE);
    this.#rowAt = new Int32Array(shard.to - shard.from);
    this.unsent = new Uint8Array(shard.to - shard.from);
  }

  /** Takes the rows of a batch that its epoch owns. */
  take(batch: ResultBatch, { from, settledUpTo }: EpochRecord): void {
    const { offset, classification } = batch.columns;
    const place = this.#batches.push(batch) - 1;
    const [first, end] = [from - this.#shard.from, settledUpTo - this.#shard.from];
    for (let row = 0; row < offset.length; row++) {
      const at = offset[row] as number;
      if (at < first || at >= end || at >= this.#batchAt.length) continue;
      const code = classification[row] as number;
      const known = this.#batches[this.#batchAt[at] as number];
      if (isUnsent(code)) {
        if (known === undefined) this.unsent[at] = code;
        continue;
      }
      this.unsent[at] = 0;
      if (known === undefined) this.count++;
      else {
        const before = known.columns.classification[this.#rowAt[at] as number] as number;
        if (!outranks(code, before)) continue;
      }
      this.#batchAt[at] = place;
      this.#rowAt[at] = row;
    }
  }

  /** Ascending by position. */
  *places(): Generator<RowRef> {
    for (let at = 0; at < this.#batchAt.length; at++) {
      const batch = this.#batches[this.#batchAt[at] as number];
      if (batch !== undefined) yield { batch, row: this.#rowAt[at] as number };
    }
  }
}

/** Batches of shards whose lease has not been heard of yet: it is about to be. */
const UNLEASED_MAX = 1024;
/** Rows per position that one epoch may have: ICMP, then RST, then SYN-ACK. */
const ROWS_PER_POSITION = 3;

/** Epochs that may have begun without our having heard of them. */
const EPOCHS_AHEAD = 16;

/** What is known of a shard when a batch of it comes. */
export interface KnownOfShard {
  readonly lease: Lease | undefined;
  /** How many it has. */
  readonly positions: number;
  /** Whether all leases have been heard of that there were when we began. */
  readonly areLeasesKnown: boolean;
}

/** What one epoch of one agent has delivered for a shard. */
interface Gathered {
  rows: number;
}

export class BatchCollector {
  /** Deliveries by shard, then by `<epoch>.<serial>.<agent>`. */
  readonly #deliveries = new Map<number, Map<string, ResultDelivery>>();
  /** By `<shard>.<epoch>.<agent>`. */
  readonly #gathered = new Map<string, Gathered>();
  /** Epochs, by shard, of which the lease has not told yet. */
  readonly #ahead = new Map<number, readonly Pick<ResultBatch, 'epoch' | 'agent'>[]>();
  /** Batches of shards without a lease. */
  readonly #unleased = new Map<number, number>();

  /**
   * Keeps a batch that a lease may count. What none will count (of an epoch that is over, of an agent that
   * holds no lease, or of more rows than there are positions) is not kept: anyone may write to the stream.
   * Should it have been wanted after all, it is missed, and what it was of is probed again.
   * @returns whether it is kept
   */
  add(delivery: ResultDelivery, { lease, positions, areLeasesKnown }: KnownOfShard): boolean {
    const { batch } = delivery;
    const { shard, serial } = batch;
    if (lease === undefined && areLeasesKnown && this.#isFull) return false;
    if (lease !== undefined && !mayCount(batch, lease)) return false;
    if (lease !== undefined && !this.#mayBeAhead(batch, lease)) return false;
    const deliveries = this.#deliveries.get(shard) ?? new Map<string, ResultDelivery>();
    const key = keyOf(batch, serial);
    if (!deliveries.has(key)) {
      const epoch = `${shard}.${batch.epoch}.${batch.agent}`;
      const gathered = this.#gathered.get(epoch) ?? { rows: 0 };
      gathered.rows += Math.max(1, batch.columns.offset.length);
      // An agent sends no batch without rows: their number bounds that of the batches.
      if (gathered.rows > ROWS_PER_POSITION * positions) return false;
      this.#gathered.set(epoch, gathered);
      if (lease === undefined) this.#unleased.set(shard, (this.#unleased.get(shard) ?? 0) + 1);
    }
    if (lease !== undefined) this.#unleased.delete(shard);
    deliveries.set(key, delivery);
    this.#deliveries.set(shard, deliveries);
    return true;
  }

  /** Whoever says that an epoch has begun may have made it up: few are believed at a time. */
  #mayBeAhead({ shard, epoch, agent }: ResultBatch, lease: Lease): boolean {
    const last = lastEpoch(lease)?.epoch ?? 0;
    if (epoch <= last) return true;
    const ahead = [...(this.#ahead.get(shard) ?? [])].filter((each) => each.epoch > last);
    const isKnown = ahead.some((each) => each.epoch === epoch && each.agent === agent);
    if (!isKnown) ahead.push({ epoch, agent });
    if (ahead.length > EPOCHS_AHEAD) return false;
    this.#ahead.set(shard, ahead);
    return true;
  }

  get #isFull(): boolean {
    let unleased = 0;
    for (const count of this.#unleased.values()) unleased += count;
    return unleased >= UNLEASED_MAX;
  }

  /** Whether every batch that the lease's reports count is here. */
  hasAll(lease: Lease): boolean {
    return this.firstIncompleteEpoch(lease) === undefined;
  }

  /** The index of the first report of which a batch is not here. */
  firstIncompleteEpoch({ shard, epochs }: Lease): number | undefined {
    const gathered = this.#deliveries.get(shard);
    for (const [i, report] of epochs.entries()) {
      for (let serial = 0; serial < report.batches; serial++) {
        if (!gathered?.has(keyOf(report, serial))) return i;
      }
    }
    return undefined;
  }

  /** Rows of a shard that are here, also those that its lease will not count. */
  rowsOf(shard: number): number {
    let rows = 0;
    for (const { batch } of this.#deliveries.get(shard)?.values() ?? [])
      rows += batch.columns.offset.length;
    return rows;
  }

  /** The rows that the lease's epochs own, one per position: the one that says most. */
  rowsOfShard({ epochs }: Lease, shard: Shard): ShardRows {
    const shardRows = new ShardRows(shard);
    for (const report of epochs) {
      for (let serial = 0; serial < report.batches; serial++) {
        const delivery = this.#deliveries.get(shard.number)?.get(keyOf(report, serial));
        if (delivery !== undefined) shardRows.take(delivery.batch, report);
      }
    }
    return shardRows;
  }

  /** The shard is durable, or of no use: its batches may go from the stream. */
  release(shard: number): void {
    for (const delivery of this.#deliveries.get(shard)?.values() ?? []) {
      const { epoch, agent } = delivery.batch;
      this.#gathered.delete(`${shard}.${epoch}.${agent}`);
      delivery.acknowledge();
    }
    this.#deliveries.delete(shard);
    this.#ahead.delete(shard);
    this.#unleased.delete(shard);
  }

  dropAll(): void {
    for (const shard of [...this.#deliveries.keys()]) this.release(shard);
  }
}

/** What another agent says of an epoch is not the holder's. */
function keyOf({ epoch, agent }: Pick<EpochRecord, 'epoch' | 'agent'>, serial: number): string {
  return `${epoch}.${serial}.${agent}`;
}

/** Whether a lease counts a batch, or may come to count it. */
function mayCount({ epoch, agent, serial }: ResultBatch, { epochs }: Lease): boolean {
  const last = epochs.at(-1);
  const report = epochs.find((each) => each.epoch === epoch);
  const ahead = epoch - (last?.epoch ?? 0);
  if (report === undefined) return ahead > 0 && ahead <= EPOCHS_AHEAD;
  return report.agent === agent && (report === last || serial < report.batches);
}
