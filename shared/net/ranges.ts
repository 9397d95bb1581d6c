/**
 * A set of whole numbers (IPv4 addresses; slots of an IPv6 window) as sorted, disjoint, non-adjacent
 * half-open ranges [from, to) below 2^53. Two sets are merged by galloping (exponential, then binary search), so
 * the cost depends on the smaller set, apart from copying the larger one.
 */
import { assert } from '../base/assert.js';
import { sortRecords } from './record-column.js';

export interface Range {
  /** The first number. */
  readonly from: number;
  /** One past the last: ≤ 2^53. */
  readonly to: number;
}

export class Ranges {
  static readonly none = new Ranges(new Float64Array(0), new Float64Array(0));

  readonly from: Float64Array;
  readonly to: Float64Array;

  private constructor(from: Float64Array, to: Float64Array) {
    this.from = from;
    this.to = to;
  }

  /** The union of any ranges, in any order, overlapping or not. */
  static of(ranges: Iterable<Range>): Ranges {
    const sorted = [...ranges].sort((a, b) => a.from - b.from);
    const builder = new Builder(sorted.length);
    for (const { from, to } of sorted) builder.add(from, to);
    return builder.build();
  }

  /**
   * The union of any IPv4 ranges, in any order, overlapping or not.
   * @param records the first and the last address of each range, host order; the array is used for sorting
   */
  static ofRecords(records: Uint32Array): Ranges {
    const sorted = sortRecords(records, 2, 1);
    const builder = new Builder(sorted.length / 2);
    for (let at = 0; at < sorted.length; at += 2) {
      builder.add(sorted[at] as number, (sorted[at + 1] as number) + 1);
    }
    return builder.build();
  }

  /** The set of some IPv4 addresses, in any order. @param addresses host order; the array is used for sorting */
  static ofAddresses(addresses: Uint32Array): Ranges {
    const sorted = sortRecords(addresses, 1, 1);
    const builder = new Builder(sorted.length);
    for (let i = 0; i < sorted.length; i++) {
      const address = sorted[i] as number;
      builder.add(address, address + 1);
    }
    return builder.build();
  }

  /**
   * Rebuilds a set from the arrays `from` and `to` of another set, for example one received from another
   * process. The arrays are checked.
   */
  static fromSorted(from: Float64Array, to: Float64Array): Ranges {
    assert(from.length === to.length, 'different numbers of starts and ends');
    let end = -1;
    for (let i = 0; i < from.length; i++) {
      const start = at(from, i);
      assert(start > end && at(to, i) > start, 'ranges are unsorted, overlapping or empty');
      end = at(to, i);
    }
    assert(end <= 2 ** 53, 'a range ends beyond 2^53');
    return new Ranges(from, to);
  }

  get count(): number {
    return this.from.length;
  }

  /** Numbers in the set. */
  get size(): number {
    let size = 0;
    for (let i = 0; i < this.count; i++) size += at(this.to, i) - at(this.from, i);
    return size;
  }

  *[Symbol.iterator](): Generator<Range> {
    for (let i = 0; i < this.count; i++) yield { from: at(this.from, i), to: at(this.to, i) };
  }

  contains(number: number): boolean {
    const i = this.#search(number, 0, this.count);
    return i < this.count && at(this.from, i) <= number;
  }

  /** Index of the first range that ends after a number; `count` if none does. @param start an index to start at */
  firstEndingAfter(number: number, start = 0): number {
    const { to } = this;
    let low = start;
    let step = 1;
    while (low + step <= to.length && at(to, low + step - 1) <= number) {
      low += step;
      step *= 2;
    }
    return this.#search(number, low, Math.min(low + step - 1, to.length));
  }

  /** Index of the first of the ranges from … end − 1 that ends after a number; `end` if none does. */
  #search(number: number, from: number, end: number): number {
    const { to } = this;
    let low = from;
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (at(to, middle) <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first part of this set that is not in another one; undefined if all of it is. */
  firstOutside(other: Ranges): Range | undefined {
    let j = 0;
    for (let i = 0; i < this.count; i++) {
      let from = at(this.from, i);
      const to = at(this.to, i);
      while (from < to) {
        j = other.firstEndingAfter(from, j);
        const next = j < other.count ? at(other.from, j) : to;
        if (next > from) return { from, to: Math.min(next, to) };
        from = at(other.to, j);
      }
    }
    return undefined;
  }

  union(other: Ranges): Ranges {
    if (this.count === 0) return other;
    if (other.count === 0) return this;
    const builder = new Builder(this.count + other.count);
    let i = 0;
    let j = 0;
    while (i < this.count || j < other.count) {
      const isNext = j === other.count || (i < this.count && at(this.from, i) < at(other.from, j));
      if (isNext) builder.add(at(this.from, i), at(this.to, i++));
      else builder.add(at(other.from, j), at(other.to, j++));
    }
    return builder.build();
  }

  intersect(other: Ranges): Ranges {
    const builder = new Builder(0);
    let i = 0;
    let j = 0;
    while (i < this.count && j < other.count) {
      const from = Math.max(at(this.from, i), at(other.from, j));
      const to = Math.min(at(this.to, i), at(other.to, j));
      if (from < to) {
        builder.add(from, to);
        if (at(this.to, i) < at(other.to, j)) i++;
        else j++;
      } else if (at(this.to, i) <= at(other.from, j)) {
        i = this.firstEndingAfter(at(other.from, j), i);
      } else j = other.firstEndingAfter(at(this.from, i), j);
    }
    return builder.build();
  }

  subtract(other: Ranges): Ranges {
    let builder: Builder | undefined;
    let copied = 0;
    let i = 0;
    let j = 0;
    for (;;) {
      if (i < this.count) j = other.firstEndingAfter(at(this.from, i), j);
      if (i >= this.count || j >= other.count) break;
      i = this.firstEndingAfter(at(other.from, j), i);
      if (i >= this.count || at(this.from, i) >= at(other.to, j)) continue;
      // Range i overlaps range j of the other set.
      builder ??= new Builder(this.count + 1);
      builder.copy(this, copied, i);
      let from = at(this.from, i);
      const to = at(this.to, i);
      for (let k = j; k < other.count && at(other.from, k) < to; k++) {
        if (at(other.from, k) > from) builder.add(from, at(other.from, k));
        from = Math.max(from, at(other.to, k));
      }
      if (from < to) builder.add(from, to);
      i++;
      copied = i;
    }
    if (builder === undefined) return this;
    builder.copy(this, copied, this.count);
    return builder.build();
  }
}

/** Joins touching ranges; the input is in order of starts. */
class Builder {
  #from: Float64Array;
  #to: Float64Array;
  #count = 0;

  /** @param expected the number of ranges for which there is space at the start */
  constructor(expected: number) {
    this.#from = new Float64Array(Math.max(expected, 16));
    this.#to = new Float64Array(Math.max(expected, 16));
  }

  add(from: number, to: number): void {
    const last = this.#count - 1;
    if (last >= 0 && from <= at(this.#to, last)) {
      if (to > at(this.#to, last)) this.#to[last] = to;
      return;
    }
    if (from >= to) return;
    this.#reserve(1);
    this.#from[this.#count] = from;
    this.#to[this.#count] = to;
    this.#count++;
  }

  /** Adds ranges first … end − 1 of a set; they lie behind all ranges added before, without touching them. */
  copy(ranges: Ranges, first: number, end: number): void {
    if (first >= end) return;
    this.#reserve(end - first);
    this.#from.set(ranges.from.subarray(first, end), this.#count);
    this.#to.set(ranges.to.subarray(first, end), this.#count);
    this.#count += end - first;
  }

  build(): Ranges {
    // Copies only if that frees much memory.
    const isFull = this.#count > this.#from.length * 0.75;
    const cut = (array: Float64Array) =>
      isFull ? array.subarray(0, this.#count) : array.slice(0, this.#count);
    return Ranges.fromSorted(cut(this.#from), cut(this.#to));
  }

  #reserve(more: number): void {
    const needed = this.#count + more;
    if (needed <= this.#from.length) return;
    const length = Math.max(needed, 2 * this.#from.length);
    this.#from = grown(this.#from, length);
    this.#to = grown(this.#to, length);
  }
}

function grown(array: Float64Array, length: number): Float64Array {
  const larger = new Float64Array(length);
  larger.set(array);
  return larger;
}

/** The element at an index. It always exists, because all indices here come from the arrays' own lengths. */
function at(array: Float64Array, index: number): number {
  return array[index] as number;
}
