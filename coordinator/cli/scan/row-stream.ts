/**
 * Rows on stdout within the second, before their shard is stored. What is written cannot be taken
 * back, so a row that comes again (after a crash, or a SYN-ACK after a reset) is marked `repeat`.
 */
import type { Plan } from '../../../shared/survey/plan.js';
import { FLAG_REPEAT, type ResultBatch } from '../../../shared/survey/results.js';
import { fieldIndices, RowSource, rowOf } from '../../sink/row.js';
import type { TextFormat } from '../../sink/sink.js';

export interface RowFormat {
  readonly text: TextFormat;
  readonly fields: readonly string[];
}

export class RowStream {
  readonly #format: RowFormat;
  readonly #indices: readonly number[];
  readonly #write: (text: string) => void;
  /** Offsets that have had a row, by shard. */
  readonly #seen = new Map<number, Set<number>>();
  #hasBegun = false;

  constructor(format: RowFormat, write: (text: string) => void) {
    this.#format = format;
    this.#indices = fieldIndices(format.fields);
    this.#write = write;
  }

  take(plan: Plan, batch: ResultBatch): void {
    const { text: format, fields } = this.#format;
    const source = new RowSource(plan);
    const { offset, flags } = batch.columns;
    const seen = this.#seen.get(batch.shard) ?? new Set<number>();
    this.#seen.set(batch.shard, seen);
    let text = this.#hasBegun ? '' : format.header(fields);
    this.#hasBegun = true;
    for (let row = 0; row < offset.length; row++) {
      const at = offset[row] as number;
      if (seen.has(at)) flags[row] = (flags[row] as number) | FLAG_REPEAT;
      seen.add(at);
      text += format.line(rowOf(source.moveTo(batch, row)), fields, this.#indices);
    }
    this.#write(text);
  }
}
