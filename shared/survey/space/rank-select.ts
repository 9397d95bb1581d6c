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
  /** Made for the first lookup by number, because only receivers of replies need it. */
  #numbers: NumberDirectory | undefined;

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
    // The end of the last range.
    this.#table[2 * count] = before;
    const wanted = blocksFor(count);
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
    this.#numbers ??= numberDirectory(this.ranges);
    const { perBlock, first } = this.#numbers;
    const table = this.#table;
    const block = (number * perBlock) >>> 0;
    if (block >= first.length) return -1;
    let low = first[block] as number;
    // As in `at`: most blocks start within a range or just before one.
    low += Number(this.#startOf(low + 1) <= number);
    low += Number(this.#startOf(low + 1) <= number);
    low += Number(this.#startOf(low + 1) <= number);
    if (this.#startOf(low + 1) <= number) low = this.#searchNumber(low, number);
    const rank = number - (table[2 * low + 1] as number);
    return rank >= (table[2 * low] as number) && rank < (table[2 * low + 2] as number) ? rank : -1;
  }

  /** The first number of a range. */
  #startOf(range: number): number {
    return (this.#table[2 * range] as number) + (this.#table[2 * range + 1] as number);
  }

  /** The last range from index `from` on that starts at a number or before it. */
  #searchNumber(from: number, number: number): number {
    let low = from;
    let high = this.ranges.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#startOf(middle) <= number) low = middle;
      else high = middle - 1;
    }
    return low;
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

/** The number of blocks for so many ranges. A single range, which most IPv6 windows have, needs only one. */
function blocksFor(count: number): number {
  return count <= 1 ? 1 : Math.min(RUNS_MAX, Math.max(RUNS_MIN, count * RUNS_PER_RANGE));
}

/** Numbers are divided into blocks of equal length, as ranks are. */
interface NumberDirectory {
  /** Blocks per number: a power of two, at most 1. */
  readonly perBlock: number;
  /** By block: the last range that starts at the block's first number or before it; 0 if there is none. */
  readonly first: Uint32Array;
}

function numberDirectory({ count, from, to }: Ranges): NumberDirectory {
  const end = to.at(-1) ?? 0;
  const wanted = blocksFor(count);
  let length = 1;
  while (length * wanted < end) length *= 2;
  const first = new Uint32Array(Math.ceil(end / length));
  let range = 0;
  for (let block = 0; block < first.length; block++) {
    while (range < count - 1 && (from[range + 1] as number) <= block * length) range++;
    first[block] = range;
  }
  return { perBlock: 1 / length, first };
}
