/**
 * Gathers the batches of each shard until its lease says that all are there, and assembles its rows:
 * those that their epoch owns, one per position. Which batches belong is decided by the lease alone
 * (epoch e owns [from, settled) of its report and the batches [0, batches)), so a batch that comes
 * twice, late, or from an agent that lost its lease changes nothing.
 */
import type { ResultDelivery } from '../../shared/bus/ports.js';
import { outranks } from '../../shared/probe/classification.js';
import type { Lease, ShardReport } from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import type { ResultBatch } from '../../shared/survey/results.js';

/** One row within its batch. */
export interface RowPlace {
  readonly batch: ResultBatch;
  readonly row: number;
}

export class Collector {
  /** Deliveries by shard, then by `<epoch>.<serial>`. */
  readonly #deliveries = new Map<number, Map<string, ResultDelivery>>();

  add(delivery: ResultDelivery): void {
    const { shard } = delivery.batch;
    const gathered = this.#deliveries.get(shard) ?? new Map<string, ResultDelivery>();
    gathered.set(keyOf(delivery.batch.epoch, delivery.batch.serial), delivery);
    this.#deliveries.set(shard, gathered);
  }

  /** Whether every batch that the lease's reports count is here. */
  hasAll({ shard, reports }: Lease): boolean {
    const gathered = this.#deliveries.get(shard);
    return reports.every(({ epoch, batches }) => {
      for (let serial = 0; serial < batches; serial++) {
        if (!gathered?.has(keyOf(epoch, serial))) return false;
      }
      return true;
    });
  }

  /** The rows that the lease's epochs own, one per position: the one that says most. */
  assemble({ reports }: Lease, shard: Shard): readonly RowPlace[] {
    const best = new Map<number, RowPlace>();
    for (const report of reports) {
      for (let serial = 0; serial < report.batches; serial++) {
        const delivery = this.#deliveries.get(shard.number)?.get(keyOf(report.epoch, serial));
        if (delivery !== undefined) gather(best, delivery.batch, report, shard);
      }
    }
    return [...best.values()];
  }

  /** The shard is durable, or of no use: its batches may go from the stream. */
  release(shard: number): void {
    for (const delivery of this.#deliveries.get(shard)?.values() ?? []) delivery.stored();
    this.#deliveries.delete(shard);
  }

  releaseAll(): void {
    for (const shard of [...this.#deliveries.keys()]) this.release(shard);
  }
}

function gather(
  best: Map<number, RowPlace>,
  batch: ResultBatch,
  { from, settled }: ShardReport,
  shard: Shard,
): void {
  const { offset, classification } = batch.columns;
  for (let row = 0; row < offset.length; row++) {
    const position = shard.from + (offset[row] as number);
    if (position < from || position >= settled) continue;
    const known = best.get(position);
    const code = classification[row] as number;
    const isBetter =
      known === undefined ||
      outranks(code, known.batch.columns.classification[known.row] as number);
    if (isBetter) best.set(position, { batch, row });
  }
}

function keyOf(epoch: number, serial: number): string {
  return `${epoch}.${serial}`;
}
