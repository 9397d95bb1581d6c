/**
 * An IPv6 window: `2001:db8::/32-64@::1` iterates over bits 32 to 64 after a fixed prefix and fills the rest
 * with interface identifiers. A plain prefix is a window to bit 128. The address with number n in the
 * iterated bits and identifier k has slot n · ids.count + k. Addresses ascend with their slots, so a range of
 * addresses is a range of slots, and exclusions of any length are found by bisection.
 */
import { Target, type Words } from '../../net/endpoint.js';
import { compareWords, formatIpv6, lastOf, type Prefix6 } from '../../net/ipv6.js';
import { type Range, Ranges } from '../../net/ranges.js';
import type { InterfaceIds } from './interface-ids.js';
import { RankSelect } from './rank-select.js';

const WORD_SPAN = 2 ** 32;

/** The words of many addresses, most significant first. */
export interface AddressColumns {
  readonly w0: Uint32Array;
  readonly w1: Uint32Array;
  readonly w2: Uint32Array;
  readonly w3: Uint32Array;
}

export class Window {
  readonly prefix: Prefix6;
  /** The window iterates over bits prefix.length … end. */
  readonly end: number;
  readonly ids: InterfaceIds | undefined;
  readonly ranks: RankSelect;
  /** Slots, excluded ones included. */
  readonly slots: number;
  readonly #idCount: number;
  /**
   * The index of the word in which the iterated bits end, the weight of the lowest iterated bit in this word,
   * and the number of values that the word's bits from the highest down to this one can have.
   */
  readonly #word: number;
  readonly #scale: number;
  readonly #span: number;
  /** Mask of the bits of the prefix. */
  readonly #mask: Words;
  /** The bits of all addresses that are not iterated over; undefined if the interface identifiers differ. */
  readonly #constant: Words | undefined;
  readonly #scratch = new Target();

  constructor(prefix: Prefix6, end: number, ids: InterfaceIds | undefined, kept?: Ranges) {
    this.prefix = prefix;
    this.end = end;
    this.ids = ids;
    this.#idCount = ids?.count ?? 1;
    this.slots = 2 ** (end - prefix.length) * this.#idCount;
    this.#word = end === 0 ? 0 : Math.ceil(end / 32) - 1;
    const shift = (this.#word + 1) * 32 - end;
    this.#scale = 2 ** shift;
    const last = lastOf(prefix);
    const mask = (i: 0 | 1 | 2 | 3) => ~(last[i] ^ prefix.words[i]);
    this.#mask = [mask(0), mask(1), mask(2), mask(3)];
    this.#span = 2 ** (32 - shift);
    this.#constant =
      this.#idCount === 1 && ids?.text !== 'random' ? this.#firstAddress() : undefined;
    this.ranks = new RankSelect(kept ?? Ranges.of([{ from: 0, to: this.slots }]));
  }

  get size(): number {
    return this.ranks.size;
  }

  get text(): string {
    const { words, length } = this.prefix;
    const from = `${formatIpv6(words)}/${length}`;
    return this.ids === undefined ? from : `${from}-${this.end}@${this.ids.text}`;
  }

  #firstAddress(): Words {
    this.addressAt(0, this.#scratch);
    return wordsOf(this.#scratch);
  }

  /** The same window without some of its slots. */
  keeping(kept: Ranges): Window {
    return new Window(this.prefix, this.end, this.ids, kept);
  }

  /** Writes the address that has a given rank into the target. */
  at(ordinal: number, target: Target): void {
    this.addressAt(this.ranks.at(ordinal), target);
  }

  /**
   * Writes the addresses that have the first `count` of the given ranks into the columns; overwrites the ranks. Does
   * the same as `at`. For hot paths.
   */
  fill(ranks: Float64Array, count: number, { w0, w1, w2, w3 }: AddressColumns): void {
    const isWhole = this.size === this.slots;
    const constant = this.#constant;
    // The iterated bits are within one word, and each address has the same identifier: integers suffice.
    const isSimple = this.slots <= this.#span && (isWhole || this.ranks.isNarrow);
    if (constant === undefined || !isSimple) {
      const target = this.#scratch;
      for (let i = 0; i < count; i++) {
        this.at(ranks[i] as number, target);
        w0[i] = target.w0;
        w1[i] = target.w1;
        w2[i] = target.w2;
        w3[i] = target.w3;
      }
      return;
    }
    const columns = [w0, w1, w2, w3];
    for (const [word, column] of columns.entries()) column.fill(constant[word] as number, 0, count);
    const column = columns[this.#word] as Uint32Array;
    const fixed = constant[this.#word] as number;
    const scale = this.#scale;
    if (isWhole) for (let i = 0; i < count; i++) column[i] = fixed | ((ranks[i] as number) * scale);
    else {
      this.ranks.fill(ranks, count, column);
      for (let i = 0; i < count; i++) column[i] = fixed | ((column[i] as number) * scale);
    }
  }

  /** The rank of the target's address, or −1. */
  ordinalOf(target: Target): number {
    if (!this.#holds(target)) return -1;
    // The iterated bits leave one slot per identifier; the right one is found by bisection.
    const scratch = this.#scratch;
    let low = this.#walkedBits(target) * this.#idCount;
    let high = low + this.#idCount - 1;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      this.addressAt(middle, scratch);
      if (compareTargets(scratch, target) < 0) low = middle + 1;
      else high = middle;
    }
    this.addressAt(low, scratch);
    return compareTargets(scratch, target) === 0 ? this.ranks.of(low) : -1;
  }

  /** True if an address has the window's prefix. */
  #holds({ w0, w1, w2, w3 }: Target): boolean {
    const [p0, p1, p2, p3] = this.prefix.words;
    const [m0, m1, m2, m3] = this.#mask;
    return (
      ((w0 ^ p0) & m0) === 0 &&
      ((w1 ^ p1) & m1) === 0 &&
      ((w2 ^ p2) & m2) === 0 &&
      ((w3 ^ p3) & m3) === 0
    );
  }

  /** The number in the iterated bits of an address: `n` in `addressAt`. */
  #walkedBits({ w0, w1, w2, w3 }: Target): number {
    const [p0, p1, p2, p3] = this.prefix.words;
    const scale = this.#scale;
    const span = this.#span;
    switch (this.#word) {
      case 3:
        return Math.floor((w3 - p3) / scale) + (w2 - p2 + (w1 - p1) * WORD_SPAN) * span;
      case 2:
        return Math.floor((w2 - p2) / scale) + (w1 - p1 + (w0 - p0) * WORD_SPAN) * span;
      case 1:
        return Math.floor((w1 - p1) / scale) + (w0 - p0) * span;
      default:
        return Math.floor((w0 - p0) / scale);
    }
  }

  /** The first and the last address with the window's prefix. */
  get first(): Words {
    return this.prefix.words;
  }
  get last(): Words {
    return lastOf(this.prefix);
  }

  /** The slots whose addresses lie between two addresses, both included. */
  slotsBetween(first: Words, last: Words): Range {
    const from = this.slotFrom(first);
    let to = this.slotFrom(last);
    if (to < this.slots) {
      this.addressAt(to, this.#scratch);
      if (compareWords(wordsOf(this.#scratch), last) === 0) to++;
    }
    return { from, to };
  }

  /** The first slot whose address is `words` or a later one; `slots` if there is none. */
  slotFrom(words: Words): number {
    let low = 0;
    let high = this.slots;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      this.addressAt(middle, this.#scratch);
      if (compareWords(wordsOf(this.#scratch), words) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Writes the address of a slot, excluded or not, into the target. No allocation. */
  addressAt(slot: number, target: Target): void {
    const k = slot % this.#idCount;
    const n = (slot - k) / this.#idCount;
    // The iterated bits may span up to three words.
    const part = n % this.#span;
    const above = (n - part) / this.#span;
    const low = part * this.#scale;
    const middle = above % WORD_SPAN;
    const high = (above - middle) / WORD_SPAN;
    const [w0, w1, w2, w3] = this.prefix.words;
    target.w0 = w0;
    target.w1 = w1;
    target.w2 = w2;
    target.w3 = w3;
    switch (this.#word) {
      case 3:
        target.w3 = (w3 | low) >>> 0;
        target.w2 = (w2 | middle) >>> 0;
        target.w1 = (w1 | high) >>> 0;
        break;
      case 2:
        target.w2 = (w2 | low) >>> 0;
        target.w1 = (w1 | middle) >>> 0;
        target.w0 = (w0 | high) >>> 0;
        break;
      case 1:
        target.w1 = (w1 | low) >>> 0;
        target.w0 = (w0 | middle) >>> 0;
        break;
      default:
        target.w0 = (w0 | low) >>> 0;
    }
    this.ids?.fill(k, n, target);
  }
}

/** Negative if the address of `a` comes before that of `b`, zero if they are equal, else positive. */
function compareTargets(a: Target, b: Target): number {
  return a.w0 - b.w0 || a.w1 - b.w1 || a.w2 - b.w2 || a.w3 - b.w3;
}

function wordsOf({ w0, w1, w2, w3 }: Target): Words {
  return [w0, w1, w2, w3];
}
