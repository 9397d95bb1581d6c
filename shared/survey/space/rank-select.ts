/**
 * Rank and select over a set of ranges: the n-th number of the set, and the rank of a number in it.
 *
 * Ranks are divided into blocks of equal length, about as many as there are ranges. For each block, a
 * directory names the range that contains its first rank. A lookup starts at this range and skips up to three
 * ranges without branches, which the processor could not predict; in a block with more ranges, the lookup
 * then bisects. The two numbers of a range are adjacent in memory, as 32-bit integers if they fit, because
 * with many ranges lookups wait for memory. Costs are in `benchmarks/README.md`.
 */
import { assert } from '../../base/assert.js';
import type { Ranges } from '../../net/ranges.js';

const RUNS_MIN = 1024;
const RUNS_MAX = 2 ** 22;
const RUNS_PER_RANGE = 1;
/** Padding beyond the last range. */
const STEPS = 4;
const NARROW_MAX = 2 ** 32 - 1;

export class RankSelect {
  readonly ranges: Ranges;
  readonly size: number;
  /** Per range: how many numbers of the set precede it, and the difference between number and rank. */
  readonly #table: Float64Array | Uint32Array;
  /** The range that contains the first rank of each block. */
  readonly #directory: Uint32Array;
  readonly #perRun: number;

  constructor(ranges: Ranges) {
    this.ranges = ranges;
    const { count, from, to } = ranges;
    // The 32-bit form needs half the memory. It is used if the end of the last range, which is the
    // highest, fits.
    const isNarrow = (to.at(-1) ?? 0) < NARROW_MAX;
    const length = 2 * (count + STEPS);
    this.#table = isNarrow
      ? new Uint32Array(length).fill(NARROW_MAX)
      : new Float64Array(length).fill(Number.POSITIVE_INFINITY);
    let before = 0;
    for (let i = 0; i < count; i++) {
      const start = from[i] as number;
      this.#table[2 * i] = before;
      this.#table[2 * i + 1] = start - before;
      before += (to[i] as number) - start;
    }
    this.size = before;
    const wanted = Math.min(RUNS_MAX, Math.max(RUNS_MIN, count * RUNS_PER_RANGE));
    let run = 1;
    while (run * wanted < before) run *= 2;
    this.#perRun = 1 / run;
    this.#directory = new Uint32Array(Math.ceil(before / run) + 1);
    let range = 0;
    for (let entry = 0; entry < this.#directory.length; entry++) {
      const ordinal = entry * run;
      while (range < count - 1 && (this.#table[2 * range + 2] as number) <= ordinal) range++;
      this.#directory[entry] = range;
    }
  }

  /** True if all numbers are below 2^32 − 2, so that `fill` may be used. */
  get isNarrow(): boolean {
    return this.#table instanceof Uint32Array;
  }

  /** The number that has a given rank: 0 ≤ rank < size. */
  at(ordinal: number): number {
    const table = this.#table;
    const run = (ordinal * this.#perRun) >>> 0;
    let low = this.#directory[run] as number;
    // Skips up to three ranges without branches, which would be unpredictable. Most blocks contain no
    // more ranges.
    low += Number((table[2 * low + 2] as number) <= ordinal);
    low += Number((table[2 * low + 2] as number) <= ordinal);
    low += Number((table[2 * low + 2] as number) <= ordinal);
    if ((table[2 * low + 2] as number) <= ordinal) low = this.#search(low, run, ordinal);
    return ordinal + (table[2 * low + 1] as number);
  }

  /**
   * Writes the numbers that have the first `count` of the given ranks. Does the same as `at`, but with
   * integers only, and only for a narrow set. For hot paths.
   */
  fill(ranks: Float64Array, count: number, numbers: Uint32Array): void {
    const table = this.#table;
    const directory = this.#directory;
    assert(table instanceof Uint32Array, 'a number exceeds 32 bits');
    const shift = -Math.log2(this.#perRun);
    for (let i = 0; i < count; i++) {
      const ordinal = (ranks[i] as number) >>> 0;
      const run = ordinal >>> shift;
      let low = directory[run] as number;
      low += Number((table[2 * low + 2] as number) <= ordinal);
      low += Number((table[2 * low + 2] as number) <= ordinal);
      low += Number((table[2 * low + 2] as number) <= ordinal);
      if ((table[2 * low + 2] as number) <= ordinal) low = this.#search(low, run, ordinal);
      numbers[i] = ordinal + (table[2 * low + 1] as number);
    }
  }

  /** The rank of a number, or −1 if the set does not contain it. */
  of(number: number): number {
    const { from, to } = this.ranges;
    let low = 0;
    let high = to.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((to[middle] as number) <= number) low = middle + 1;
      else high = middle;
    }
    const start = from[low];
    if (start === undefined || number < start) return -1;
    return number - (this.#table[2 * low + 1] as number);
  }

  /**
   * Finds the range that contains a rank: bisects those ranges from index `from` on that begin within the
   * rank's block.
   */
  #search(from: number, run: number, ordinal: number): number {
    let low = from;
    let high = this.#directory[run + 1] as number;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#table[2 * middle] as number) <= ordinal) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
