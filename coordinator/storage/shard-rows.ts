/**
 * The rows of one shard: at most one per position. If a position has several replies, the one with the
 * highest rank is kept.
 */
import { assert } from '../../shared/base/assert.js';
import { outranks, type ProbeSet } from '../../shared/probe/probe-set.js';
import { type EpochRecord, type Lease, settledUpToOf } from '../../shared/survey/lease.js';
import type { Plan, Shard } from '../../shared/survey/plan.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import { isUnsent } from '../../shared/survey/unsent.js';
import { encodeUnsent } from '../../shared/survey/unsent-positions.js';
import { RowSource } from '../sink/row-source.js';
import type { ShardEntry } from './journal.js';

/** One row of a batch. */
export interface RowRef {
  readonly batch: ResultBatch;
  readonly row: number;
}

const NONE = -1;

export class ShardRows {
  count = 0;
  /** `UNSENT` code by offset from the start of the shard; 0 if a probe was sent. */
  readonly unsent: Uint8Array;
  readonly #shard: Shard;
  readonly #batches: ResultBatch[] = [];
  /**
   * By offset from the start of the shard: the index of the row's batch in `#batches`, or `NONE`. `#rowAt`
   * has the row's index in that batch.
   */
  readonly #batchAt: Int32Array;
  readonly #rowAt: Int32Array;

  constructor(shard: Shard) {
    const length = shard.to - shard.from;
    assert(length > 0, `shard ${shard.number} is empty`);
    this.#shard = shard;
    this.#batchAt = new Int32Array(length).fill(NONE);
    this.#rowAt = new Int32Array(length);
    this.unsent = new Uint8Array(length);
  }

  /** Adds those rows of a batch that belong to its epoch, which owns positions [from, settledUpTo). */
  add(batch: ResultBatch, { from, settledUpTo }: EpochRecord): void {
    const { offset, classification } = batch.columns;
    const index = this.#batches.push(batch) - 1;
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
      this.#batchAt[at] = index;
      this.#rowAt[at] = row;
    }
  }

  /** Ascending by position. */
  *inOrder(): Generator<RowRef> {
    for (let at = 0; at < this.#batchAt.length; at++) {
      const batch = this.#batches[this.#batchAt[at] as number];
      if (batch !== undefined) yield { batch, row: this.#rowAt[at] as number };
    }
  }

  /**
   * The rows with their targets, in order of position. The same object is yielded each time, after it was
   * moved to the next row.
   */
  *sources(plan: Plan, set: ProbeSet): Generator<RowSource> {
    const source = new RowSource(plan, set);
    for (const { batch, row } of this.inOrder()) yield source.moveTo(batch, row);
  }

  /** The line that the journal gets for this shard. */
  journalEntry(lease: Lease): ShardEntry {
    const { number, from, to } = this.#shard;
    const coveredUpTo = settledUpToOf(lease, this.#shard);
    assert(
      from <= coveredUpTo && coveredUpTo <= to,
      `shard ${number} covered up to ${coveredUpTo}`,
    );
    const unsent = encodeUnsent(this.unsent);
    const extent = { shard: number, from, to, coveredUpTo, rowCount: this.count };
    return { ...extent, epochs: lease.epochs, ...(unsent && { unsent }) };
  }
}
