/**
 * A set of IPv6 addresses as sorted, disjoint, non-adjacent ranges, in one array of 32-bit words, as IPv4
 * ranges are in `Ranges`.
 */

import type { Words } from './endpoint.js';
import { compareWords, lastOf, type Prefix6 } from './ipv6.js';
import { sortRecords } from './record-column.js';

const WORDS = 4;
/** Words per range: the first address, and the last one. */
export const RANGE_WORDS = 2 * WORDS;

export class Ranges6 {
  static readonly none = new Ranges6(new Uint32Array(0));

  /** Per range: four words of the first address and four of the last one. */
  readonly words: Uint32Array;

  private constructor(words: Uint32Array) {
    this.words = words;
  }

  /** The union of any prefixes, minus the union of `except`. */
  static of(prefixes: Iterable<Prefix6>, except: Iterable<Prefix6> = []): Ranges6 {
    return unionOf(prefixes).subtract(unionOf(except));
  }

  /**
   * The union of any ranges, in any order, overlapping or not.
   * @param records eight words per range: the first and the last address; the array is used for sorting
   */
  static ofRecords(records: Uint32Array): Ranges6 {
    return new Ranges6(joined(sortRecords(records, RANGE_WORDS, WORDS)));
  }

  /** Rebuilds a set from the array `words` of another set, which was received from another thread. */
  static fromWords(words: Uint32Array): Ranges6 {
    return new Ranges6(words);
  }

  get count(): number {
    return this.words.length / RANGE_WORDS;
  }

  firstOf(range: number): Words {
    return rangeWords(this.words, range).first;
  }
  lastOf(range: number): Words {
    return rangeWords(this.words, range).last;
  }

  union(other: Ranges6): Ranges6 {
    const records = new Uint32Array(this.words.length + other.words.length);
    records.set(this.words);
    records.set(other.words, this.words.length);
    return Ranges6.ofRecords(records);
  }

  subtract(other: Ranges6): Ranges6 {
    if (other.count === 0) return this;
    const left: Words[] = [];
    for (let i = 0; i < this.count; i++) {
      let first: Words | undefined = this.firstOf(i);
      const last = this.lastOf(i);
      for (let k = other.firstEndingFrom(first); k < other.count && first !== undefined; k++) {
        const cut: Words = other.firstOf(k);
        if (compareWords(cut, last) > 0) break;
        if (compareWords(cut, first) > 0) left.push(first, before(cut));
        first = compareWords(other.lastOf(k), last) >= 0 ? undefined : after(other.lastOf(k));
      }
      if (first !== undefined) left.push(first, last);
    }
    return new Ranges6(Uint32Array.from(left.flat()));
  }

  contains(w0: number, w1: number, w2: number, w3: number): boolean {
    const i = this.#search(0, w0, w1, w2, w3);
    return i < this.count && this.#compare(i * RANGE_WORDS, w0, w1, w2, w3) <= 0;
  }

  /**
   * Index of the first range that ends at an address or after it; `count` if none does.
   * @param start an index to start at
   */
  firstEndingFrom(words: Words, start = 0): number {
    return this.#search(start, ...words);
  }

  #search(start: number, w0: number, w1: number, w2: number, w3: number): number {
    let low = start;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(middle * RANGE_WORDS + WORDS, w0, w1, w2, w3) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Negative if the address at `at` comes before the other one, zero if they are equal, else positive. */
  #compare(at: number, w0: number, w1: number, w2: number, w3: number): number {
    const { words } = this;
    return (
      (words[at] as number) - w0 ||
      (words[at + 1] as number) - w1 ||
      (words[at + 2] as number) - w2 ||
      (words[at + 3] as number) - w3
    );
  }
}

/** The first and the last address of range `i` in an array of ranges. */
export function rangeWords(
  words: Uint32Array,
  i: number,
): { readonly first: Words; readonly last: Words } {
  const at = i * RANGE_WORDS;
  return { first: wordsAt(words, at), last: wordsAt(words, at + WORDS) };
}

function unionOf(prefixes: Iterable<Prefix6>): Ranges6 {
  const records = [...prefixes].flatMap((prefix) => [...prefix.words, ...lastOf(prefix)]);
  return Ranges6.ofRecords(Uint32Array.from(records));
}

/** Joins overlapping and adjacent ranges, in place. @param records sorted by first address */
function joined(records: Uint32Array): Uint32Array {
  let end = 0;
  for (let at = 0; at < records.length; at += RANGE_WORDS) {
    const lastAt = end - WORDS;
    if (end > 0 && reaches(records, lastAt, at)) {
      if (compareAt(records, at + WORDS, lastAt) > 0)
        records.copyWithin(lastAt, at + WORDS, at + RANGE_WORDS);
    } else {
      if (end < at) records.copyWithin(end, at, at + RANGE_WORDS);
      end += RANGE_WORDS;
    }
  }
  return records.subarray(0, end);
}

/** True if the address at `first` is at most one past the address at `last`. */
function reaches(records: Uint32Array, last: number, first: number): boolean {
  if (compareAt(records, first, last) <= 0) return true;
  const next = after(wordsAt(records, last));
  return next !== undefined && compareWords(next, wordsAt(records, first)) === 0;
}

function compareAt(words: Uint32Array, a: number, b: number): number {
  for (let i = 0; i < WORDS; i++) {
    const difference = (words[a + i] as number) - (words[b + i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function wordsAt(words: Uint32Array, at: number): Words {
  return [
    words[at] as number,
    words[at + 1] as number,
    words[at + 2] as number,
    words[at + 3] as number,
  ];
}

/** The next address; undefined after the last one. */
function after([w0, w1, w2, w3]: Words): Words | undefined {
  if (w3 < 0xffffffff) return [w0, w1, w2, w3 + 1];
  if (w2 < 0xffffffff) return [w0, w1, w2 + 1, 0];
  if (w1 < 0xffffffff) return [w0, w1 + 1, 0, 0];
  return w0 < 0xffffffff ? [w0 + 1, 0, 0, 0] : undefined;
}

/** The address before another one, which is not the first of all. */
function before([w0, w1, w2, w3]: Words): Words {
  if (w3 > 0) return [w0, w1, w2, w3 - 1];
  if (w2 > 0) return [w0, w1, w2 - 1, 0xffffffff];
  if (w1 > 0) return [w0, w1 - 1, 0xffffffff, 0xffffffff];
  return [w0 - 1, 0xffffffff, 0xffffffff, 0xffffffff];
}
