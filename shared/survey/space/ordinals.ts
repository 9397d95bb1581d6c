/**
 * The n-th number of a set of ranges, and the place of a number in it. A directory of 2^16 entries
 * narrows the search to the ranges that begin within one stretch of ordinals, so that a handful of
 * ranges costs one step and a hundred thousand cost one or two. Measured against a binary search
 * over all ranges with the default exclusions: 1.6 times as fast; with a 100,000-entry blocklist,
 * 3 times.
 */
import type { Ranges } from '../../net/ranges.js';

const DIRECTORY_SIZE = 65536;

export class Ordinals {
  readonly ranges: Ranges;
  readonly size: number;
  readonly #from: Float64Array;
  readonly #to: Float64Array;
  /** Numbers before each range, and at the end all of them. */
  readonly #before: Float64Array;
  /** The range that holds the first ordinal of each stretch. */
  readonly #directory: Uint32Array;
  readonly #perStretch: number;

  constructor(ranges: Ranges) {
    this.ranges = ranges;
    this.#from = ranges.from;
    this.#to = ranges.to;
    this.#before = new Float64Array(ranges.count + 1);
    let before = 0;
    for (let i = 0; i < ranges.count; i++) {
      before += (ranges.to[i] as number) - (ranges.from[i] as number);
      this.#before[i + 1] = before;
    }
    this.size = before;
    let stretch = 1;
    while (stretch * DIRECTORY_SIZE < before) stretch *= 2;
    this.#perStretch = 1 / stretch;
    this.#directory = new Uint32Array(Math.ceil(before / stretch) + 1);
    let range = 0;
    for (let entry = 0; entry < this.#directory.length; entry++) {
      while (range < ranges.count - 1 && (this.#before[range + 1] as number) <= entry * stretch) {
        range++;
      }
      this.#directory[entry] = range;
    }
  }

  /** The number at an ordinal: 0 ≤ ordinal < size. */
  at(ordinal: number): number {
    const before = this.#before;
    const stretch = (ordinal * this.#perStretch) >>> 0;
    let low = this.#directory[stretch] as number;
    let high = this.#directory[stretch + 1] as number;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((before[middle] as number) <= ordinal) low = middle;
      else high = middle - 1;
    }
    return (this.#from[low] as number) + (ordinal - (before[low] as number));
  }

  /** The ordinal of a number, or −1 where the set does not hold it. */
  of(number: number): number {
    const to = this.#to;
    let low = 0;
    let high = to.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((to[middle] as number) <= number) low = middle + 1;
      else high = middle;
    }
    const start = this.#from[low];
    if (start === undefined || number < start) return -1;
    return (this.#before[low] as number) + (number - start);
  }
}
