/**
 * What one epoch of one shard has heard. One octet per position holds the best class so far, so a
 * repeated reply makes no second row and the counts are exact; rows gather in columns until they
 * leave as a batch. Positions below `closedBefore` are settled: replies to them come too late.
 */
import { CLASSIFICATION, outranks } from '../../shared/probe/classification.js';
import type { Counts } from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import {
  COLUMN_NAMES,
  type Columns,
  emptyColumns,
  type ResultBatch,
} from '../../shared/survey/results.js';
import { isUnsent, noneUnsent, unsentName } from '../../shared/survey/unsent.js';

type Batch = Pick<ResultBatch, 'serial' | 'timestamp' | 'columns'>;

export const RECORDED = { NEW: 0, REPEATED: 1, LATE: 2 } as const;

export class ShardResults {
  readonly #shard: Shard;
  readonly #classes: Uint8Array;
  #closedBefore: number;
  readonly #counts = { synack: 0, rst: 0, icmp: 0, ...noneUnsent() };
  readonly #columns = emptyColumns();
  #serial = 0;
  /** Microseconds since the Unix epoch: what the stamps of the rows gathered are relative to. */
  #timestamp = 0;

  constructor(shard: Shard, from: number) {
    this.#shard = shard;
    this.#classes = new Uint8Array(shard.to - shard.from);
    this.#closedBefore = from;
  }

  /** Batches taken so far; their serials are [0, batches). */
  get batches(): number {
    return this.#serial;
  }
  /** Positions before the settled one, by best class. */
  get counts(): Counts {
    return { ...this.#counts };
  }
  get rows(): number {
    return this.#columns.offset.length;
  }

  /** Notes a reply of class `code` to a position of this shard; says whether it is news. */
  note(position: number, code: number): number {
    if (position < this.#closedBefore) return RECORDED.LATE;
    const offset = position - this.#shard.from;
    const known = this.#classes[offset] as number;
    // A reply to what was passed by answers another epoch's probe: it was asked.
    const isNews = known === CLASSIFICATION.NONE || isUnsent(known) || outranks(code, known);
    if (!isNews) return RECORDED.REPEATED;
    this.#classes[offset] = code;
    return RECORDED.NEW;
  }

  /** Whether no probe of a position left, as far as is noted. */
  wasPassedBy(position: number): boolean {
    return isUnsent(this.#classes[position - this.#shard.from] ?? CLASSIFICATION.NONE);
  }

  /**
   * Notes that no probe of a position left, unless it has answered.
   * @param code one of `UNSENT`
   * @returns whether it did not
   */
  noteUnsent(position: number, code: number): boolean {
    const offset = position - this.#shard.from;
    if (position < this.#closedBefore || this.#classes[offset] !== CLASSIFICATION.NONE)
      return false;
    this.#classes[offset] = code;
    return true;
  }

  /** Begins a row; its further columns are the caller's to fill. @param timestamp microseconds */
  beginRow(position: number, code: number, timestamp: number): Columns {
    if (this.rows === 0) this.#timestamp = timestamp;
    this.#columns.offset.push(position - this.#shard.from);
    this.#columns.timestampDelta.push(timestamp - this.#timestamp);
    this.#columns.classification.push(code);
    return this.#columns;
  }

  /** Settles positions up to `settled`: their classes are counted and no longer change. */
  close(settled: number): void {
    for (let position = this.#closedBefore; position < settled; position++) {
      const code = this.#classes[position - this.#shard.from];
      if (code === CLASSIFICATION.SYNACK) this.#counts.synack++;
      else if (code === CLASSIFICATION.RST) this.#counts.rst++;
      else if (code === CLASSIFICATION.ICMP) this.#counts.icmp++;
      else if (code !== undefined && isUnsent(code)) this.#counts[unsentName(code)]++;
    }
    this.#closedBefore = Math.max(this.#closedBefore, settled);
  }

  /** Rows gathered, as the next batch of this epoch: so many at most; undefined where there are none. */
  takeBatch(rowsMax: number): Batch | undefined {
    if (this.rows === 0) return undefined;
    const columns = emptyColumns();
    for (const name of COLUMN_NAMES) columns[name] = this.#columns[name].splice(0, rowsMax);
    return { serial: this.#serial++, timestamp: this.#timestamp, columns };
  }
}
