/**
 * A growing column of records, each of a fixed number of unsigned 32-bit words, in one typed array: millions of
 * records without an object for each. Sorted by least-significant-digit radix sort (Knuth, TAOCP 3, §5.2.5),
 * which takes linear time and a second array.
 */
import { assert } from '../base/assert.js';

const RECORDS_MIN = 16;
const DIGIT_BITS = 11;
const DIGITS = 2 ** DIGIT_BITS;
const SHIFTS = [0, DIGIT_BITS, 2 * DIGIT_BITS] as const;

export class RecordColumn {
  /** Words per record. */
  readonly width: number;
  #words: Uint32Array;
  #length = 0;

  constructor(width: number) {
    this.width = width;
    this.#words = new Uint32Array(RECORDS_MIN * width);
  }

  /** Number of records. */
  get size(): number {
    return this.#length / this.width;
  }

  /** The records, one after the other; valid until the next `push`. */
  get words(): Uint32Array {
    return this.#words.subarray(0, this.#length);
  }

  /** Adds a record of at most 5 words; those beyond the width are ignored. */
  push(w0: number, w1 = 0, w2 = 0, w3 = 0, w4 = 0): void {
    const { width } = this;
    const at = this.#length;
    if (at === this.#words.length) this.#grow();
    const words = this.#words;
    words[at] = w0;
    if (width > 1) words[at + 1] = w1;
    if (width > 2) {
      words[at + 2] = w2;
      words[at + 3] = w3;
    }
    if (width > 4) words[at + 4] = w4;
    this.#length = at + width;
  }

  /** Adds a record of any width. */
  append(record: readonly number[]): void {
    assert(record.length === this.width, 'a record does not have the width of its column');
    if (this.#length === this.#words.length) this.#grow();
    this.#words.set(record, this.#length);
    this.#length += this.width;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#words.length * 2);
    larger.set(this.#words);
    this.#words = larger;
  }
}

/** The records of several columns of one width, copied into one array. */
export function joinRecords(columns: readonly Uint32Array[]): Uint32Array {
  const joined = new Uint32Array(columns.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const column of columns) {
    joined.set(column, at);
    at += column.length;
  }
  return joined;
}

/**
 * Sorts records by their first `keys` words, the first word being the most significant. The sort is stable.
 * @returns the sorted records, in `records` or in another array of the same length; the contents of `records`
 * are then undefined
 */
export function sortRecords(records: Uint32Array, width: number, keys: number): Uint32Array {
  const count = records.length / width;
  assert(Number.isInteger(count) && keys <= width, 'records have a whole number of words');
  let from = records;
  let to: Uint32Array | undefined;
  for (let word = keys - 1; word >= 0; word--) {
    for (const shift of SHIFTS) {
      const starts = digitStarts(from, width, word, shift);
      if (starts === undefined) continue;
      to ??= new Uint32Array(records.length);
      scatter(from, to, width, word, shift, starts);
      [from, to] = [to, from];
    }
  }
  return from;
}

/** The places at which the records of each digit begin in the sorted order; undefined if they are in order already. */
function digitStarts(
  records: Uint32Array,
  width: number,
  word: number,
  shift: number,
): Uint32Array | undefined {
  const starts = new Uint32Array(DIGITS);
  let last = -1;
  let isSorted = true;
  for (let at = word; at < records.length; at += width) {
    const digit = ((records[at] as number) >>> shift) & (DIGITS - 1);
    starts[digit] = (starts[digit] as number) + 1;
    if (digit < last) isSorted = false;
    last = digit;
  }
  if (isSorted) return undefined;
  let start = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = starts[digit] as number;
    starts[digit] = start;
    start += count;
  }
  return starts;
}

function scatter(
  from: Uint32Array,
  to: Uint32Array,
  width: number,
  word: number,
  shift: number,
  starts: Uint32Array,
): void {
  for (let at = 0; at < from.length; at += width) {
    const digit = ((from[at + word] as number) >>> shift) & (DIGITS - 1);
    const record = starts[digit] as number;
    starts[digit] = record + 1;
    let target = record * width;
    for (let i = at; i < at + width; i++) to[target++] = from[i] as number;
  }
}
