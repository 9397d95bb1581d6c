/**
 * A set of whole numbers (IPv4 addresses; slots of an IPv6 window) as sorted, disjoint, non-adjacent
 * half-open ranges [from, to) below 2^53. Intersection and subtraction are linear merges, so millions of
 * entries take milliseconds.
 */
import { assert } from '../base/assert.js';

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
    const builder = new Builder();
    for (const { from, to } of sorted) builder.add(from, to);
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
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (at(this.to, middle) <= number) low = middle + 1;
      else high = middle;
    }
    return low < this.count && at(this.from, low) <= number;
  }

  intersect(other: Ranges): Ranges {
    const builder = new Builder();
    let i = 0;
    let j = 0;
    while (i < this.count && j < other.count) {
      const from = Math.max(at(this.from, i), at(other.from, j));
      const to = Math.min(at(this.to, i), at(other.to, j));
      if (from < to) builder.add(from, to);
      if (at(this.to, i) < at(other.to, j)) i++;
      else j++;
    }
    return builder.build();
  }

  subtract(other: Ranges): Ranges {
    const builder = new Builder();
    let j = 0;
    for (let i = 0; i < this.count; i++) {
      let from = at(this.from, i);
      const to = at(this.to, i);
      while (j < other.count && at(other.to, j) <= from) j++;
      for (let k = j; k < other.count && at(other.from, k) < to; k++) {
        if (at(other.from, k) > from) builder.add(from, at(other.from, k));
        from = Math.max(from, at(other.to, k));
      }
      if (from < to) builder.add(from, to);
    }
    return builder.build();
  }
}

/** Joins touching ranges; the input is in order of starts. */
class Builder {
  readonly #from: number[] = [];
  readonly #to: number[] = [];

  add(from: number, to: number): void {
    const last = this.#to.length - 1;
    const end = this.#to[last];
    if (end !== undefined && from <= end) this.#to[last] = Math.max(end, to);
    else if (from < to) {
      this.#from.push(from);
      this.#to.push(to);
    }
  }

  build(): Ranges {
    return Ranges.fromSorted(Float64Array.from(this.#from), Float64Array.from(this.#to));
  }
}

/** The element at an index. It always exists, because all indices here come from the arrays' own lengths. */
function at(array: Float64Array, index: number): number {
  return array[index] as number;
}
