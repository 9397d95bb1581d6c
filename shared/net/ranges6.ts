/**
 * A set of IPv6 addresses as sorted, disjoint ranges. It is built with BigInt, which is slow, but only from a
 * few prefixes; the hot path searches it with 32-bit words.
 */
import type { Words } from './endpoint.js';
import type { Prefix6 } from './ipv6.js';

const WORD_BITS = 32n;
const ADDRESS_BITS = 128n;
const WORDS = 4;

interface Range6 {
  readonly from: bigint;
  /** One past the last. */
  readonly to: bigint;
}

export class Ranges6 {
  static readonly none = new Ranges6(new Uint32Array(0));

  /** Per range: four words of the first address and four of the last one. */
  readonly words: Uint32Array;

  private constructor(words: Uint32Array) {
    this.words = words;
  }

  /** The union of any prefixes, minus the union of `except`. */
  static of(prefixes: Iterable<Prefix6>, except: Iterable<Prefix6> = []): Ranges6 {
    return Ranges6.#build(subtract(union(prefixes), union(except)));
  }

  /** Rebuilds a set from the array `words` of another set, which was received from another thread. */
  static fromWords(words: Uint32Array): Ranges6 {
    return new Ranges6(words);
  }

  union(other: Ranges6): Ranges6 {
    return Ranges6.#build(join([...this.#ranges(), ...other.#ranges()]));
  }

  static #build(ranges: readonly Range6[]): Ranges6 {
    const words = ranges.flatMap(({ from, to }) => [...wordsOf(from), ...wordsOf(to - 1n)]);
    return new Ranges6(Uint32Array.from(words));
  }

  get count(): number {
    return this.words.length / (2 * WORDS);
  }

  contains(w0: number, w1: number, w2: number, w3: number): boolean {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(middle * 8 + WORDS, w0, w1, w2, w3) < 0) low = middle + 1;
      else high = middle;
    }
    return low < this.count && this.#compare(low * 8, w0, w1, w2, w3) <= 0;
  }

  *#ranges(): Generator<Range6> {
    for (let at = 0; at < this.words.length; at += 2 * WORDS) {
      const from = addressOf(this.words.subarray(at, at + WORDS));
      yield { from, to: addressOf(this.words.subarray(at + WORDS, at + 2 * WORDS)) + 1n };
    }
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

function union(prefixes: Iterable<Prefix6>): Range6[] {
  return join([...prefixes].map(rangeOf));
}

/** Ranges in any order, as sorted and disjoint ones. */
function join(ranges: readonly Range6[]): Range6[] {
  const sorted = [...ranges].sort((a, b) => (a.from < b.from ? -1 : 1));
  const joined: { from: bigint; to: bigint }[] = [];
  for (const { from, to } of sorted) {
    const last = joined.at(-1);
    if (last === undefined || from > last.to) joined.push({ from, to });
    else if (to > last.to) last.to = to;
  }
  return joined;
}

function subtract(ranges: readonly Range6[], others: readonly Range6[]): Range6[] {
  return ranges.flatMap(({ from, to }) => {
    const left: Range6[] = [];
    let start = from;
    for (const other of others) {
      if (other.to <= start || other.from >= to) continue;
      if (other.from > start) left.push({ from: start, to: other.from });
      start = other.to;
    }
    return start < to ? [...left, { from: start, to }] : left;
  });
}

function rangeOf({ words, length }: Prefix6): Range6 {
  const from = addressOf(words);
  return { from, to: from + (1n << (ADDRESS_BITS - BigInt(length))) };
}

function addressOf(words: Iterable<number>): bigint {
  let value = 0n;
  for (const word of words) value = (value << WORD_BITS) | BigInt(word);
  return value;
}

function wordsOf(address: bigint): Words {
  const word = (i: number) => Number(BigInt.asUintN(32, address >> (WORD_BITS * BigInt(3 - i))));
  return [word(0), word(1), word(2), word(3)];
}
