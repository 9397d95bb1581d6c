/**
 * Collects the result batches of each shard until its lease says that all have arrived, and selects the rows
 * to store: those that their epoch owns, one per position. The lease alone decides which batches belong
 * (epoch e owns positions [from, settledUpTo) and batches [0, batches)), so a batch that arrives twice, late,
 * or from an agent that lost its lease changes nothing.
 */
import { assert } from '../../shared/base/assert.js';
import type { ResultDelivery } from '../../shared/bus/interfaces.js';
import type { EpochRecord, Lease } from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import { ShardRows } from './shard-rows.js';

/** Rows per position that one epoch can produce: ICMP, then RST, then SYN-ACK. */
const ROWS_PER_POSITION = 3;
/** State of a shard when one of its batches arrives. */
export interface ShardContext {
  readonly lease: Lease | undefined;
  /** Positions of the shard. */
  readonly positions: number;
}

export class BatchCollector {
  /** Deliveries by shard, then by `<epoch>.<serial>.<agent>`. */
  readonly #deliveries = new Map<number, Map<string, ResultDelivery>>();
  /** Rows by `<shard>.<epoch>.<agent>`. */
  readonly #rows = new Map<string, number>();

  /**
   * Keeps a batch if its rows may belong to a lease. Leases are known before their first batch arrives, because
   * the coordinator opens them. A batch is rejected in three cases: no lease has an epoch of its number and its
   * agent; that epoch has ended and does not include the serial of the batch; or the epoch would have more rows
   * than an epoch can produce. If a rejected batch was valid after all, its positions are probed again.
   * @returns whether the batch is kept
   */
  add(delivery: ResultDelivery, { lease, positions }: ShardContext): boolean {
    const { batch } = delivery;
    const { shard, serial } = batch;
    if (lease === undefined || !mayCount(batch, lease)) return false;
    const deliveries = this.#deliveries.get(shard) ?? new Map<string, ResultDelivery>();
    const key = keyOf(batch, serial);
    if (!deliveries.has(key)) {
      const epoch = `${shard}.${batch.epoch}.${batch.agent}`;
      // An empty batch, which no honest agent publishes, counts as one row, so the number of rows also
      // bounds the number of batches.
      const rows = (this.#rows.get(epoch) ?? 0) + Math.max(1, batch.columns.offset.length);
      if (rows > ROWS_PER_POSITION * positions) return false;
      this.#rows.set(epoch, rows);
    }
    deliveries.set(key, delivery);
    this.#deliveries.set(shard, deliveries);
    return true;
  }

  /** True once every batch that the lease counts has arrived. */
  hasAll(lease: Lease): boolean {
    return this.firstIncompleteEpoch(lease) === undefined;
  }

  /** The index of the first epoch with a batch that has not arrived. */
  firstIncompleteEpoch({ shard, epochs }: Lease): number | undefined {
    const deliveries = this.#deliveries.get(shard);
    for (const [i, epoch] of epochs.entries()) {
      for (let serial = 0; serial < epoch.batches; serial++) {
        if (!deliveries?.has(keyOf(epoch, serial))) return i;
      }
    }
    return undefined;
  }

  /** Rows of a shard that have arrived, including those that its lease does not count. */
  rowCount(shard: number): number {
    let rows = 0;
    for (const { batch } of this.#deliveries.get(shard)?.values() ?? [])
      rows += batch.columns.offset.length;
    return rows;
  }

  /** The rows to store: those that the lease's epochs own. */
  rowsOf(lease: Lease, shard: Shard): ShardRows {
    assert(
      this.hasAll(lease),
      `rows of shard ${shard.number} are selected before all have arrived`,
    );
    const rows = new ShardRows(shard);
    for (const epoch of lease.epochs) {
      for (let serial = 0; serial < epoch.batches; serial++) {
        const delivery = this.#deliveries.get(shard.number)?.get(keyOf(epoch, serial));
        if (delivery !== undefined) rows.add(delivery.batch, epoch);
      }
    }
    return rows;
  }

  /** Removes a shard's batches from the stream, once the shard is durable or the survey is over. */
  acknowledge(shard: number): void {
    for (const delivery of this.#deliveries.get(shard)?.values() ?? []) {
      const { epoch, agent } = delivery.batch;
      this.#rows.delete(`${shard}.${epoch}.${agent}`);
      delivery.acknowledge();
    }
    this.#deliveries.delete(shard);
  }

  acknowledgeAll(): void {
    for (const shard of [...this.#deliveries.keys()]) this.acknowledge(shard);
  }
}

/** The agent is part of the key: a batch by another agent does not take the place of the holder's. */
function keyOf({ epoch, agent }: Pick<EpochRecord, 'epoch' | 'agent'>, serial: number): string {
  return `${epoch}.${serial}.${agent}`;
}

/** True if a lease counts a batch, or may do so later. */
function mayCount({ epoch, agent, serial }: ResultBatch, { epochs }: Lease): boolean {
  const record = epochs.find((each) => each.epoch === epoch && each.agent === agent);
  if (record === undefined) return false;
  return record === epochs.at(-1) || serial < record.batches;
}
