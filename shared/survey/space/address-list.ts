/**
 * Single IPv6 addresses (a hitlist), or (address, port) pairs of both families: sorted, without duplicates, in
 * flat arrays. A hitlist has no ports.
 */
import { assert } from '../../base/assert.js';
import { Target } from '../../net/endpoint.js';
import { portIn, probeIn } from '../../net/ports.js';
import type { Ranges6 } from '../../net/ranges6.js';
import { sortRecords } from '../../net/record-column.js';
import type { Blocklist } from '../policy/blocklist.js';

const WORDS = 4;
const NO_PORT = 0;
const MAPPED = 0xffff;

/** Entries first … end − 1 of a list. */
interface Run {
  readonly first: number;
  readonly end: number;
}

export class AddressList {
  readonly size: number;
  /** Four words per address; IPv4 is mapped. */
  readonly words: Uint32Array;
  /** The port of each pair, with its probe; empty in a hitlist. */
  readonly ports: Uint32Array;

  private constructor(words: Uint32Array, ports: Uint32Array) {
    this.words = words;
    this.ports = ports;
    this.size = words.length / WORDS;
  }

  /** The empty list. */
  static get none(): AddressList {
    return new AddressList(new Uint32Array(0), new Uint32Array(0));
  }

  /**
   * The distinct records, sorted.
   * @param records four words per address; for pairs a fifth one, the port with its probe; used for sorting
   */
  static ofRecords(records: Uint32Array, width: 4 | 5): AddressList {
    const sorted = sortRecords(records, width, width);
    const count = keepDistinct(sorted, width);
    if (width === WORDS)
      return new AddressList(sorted.subarray(0, count * WORDS), new Uint32Array(0));
    const words = new Uint32Array(count * WORDS);
    const ports = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      for (let word = 0; word < WORDS; word++) {
        words[i * WORDS + word] = sorted[i * width + word] as number;
      }
      ports[i] = sorted[i * width + WORDS] as number;
    }
    return new AddressList(words, ports);
  }

  /** A list from the arrays of another one, as received from another process; checked. */
  static fromSorted(words: Uint32Array, ports: Uint32Array): AddressList {
    const list = new AddressList(words, ports);
    assert(ports.length === 0 || ports.length === list.size, 'a pair has no port');
    for (let i = 1; i < list.size; i++) {
      assert(list.#isBefore(i - 1, i), 'listed addresses are unsorted or duplicate');
    }
    return list;
  }

  /** The entries of IPv4, which are adjacent because IPv4 is mapped. */
  get ipv4(): Run {
    const first = this.firstFrom(0, 0, MAPPED, 0);
    return { first, end: this.firstFrom(0, 0, MAPPED + 1, 0, first) };
  }

  get hasIpv6(): boolean {
    const { first, end } = this.ipv4;
    return end - first < this.size;
  }

  /** Writes the address, and the port if there is one, into the target. */
  at(ordinal: number, target: Target): void {
    const { words } = this;
    const i = ordinal * WORDS;
    target.w0 = words[i] as number;
    target.w1 = words[i + 1] as number;
    target.w2 = words[i + 2] as number;
    target.w3 = words[i + 3] as number;
    const port = this.ports[ordinal];
    if (port === undefined) return;
    target.port = portIn(port);
    target.probe = probeIn(port);
  }

  /** The rank of the entry with the target's address and `port` (not regarded in a hitlist), or −1. */
  ordinalOf({ w0, w1, w2, w3 }: Target, port: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(middle, w0, w1, w2, w3) || (this.ports[middle] ?? port) - port;
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  /** Index of the first entry whose address is this one or a later one; `size` if there is none. */
  firstFrom(w0: number, w1: number, w2: number, w3: number, start = 0): number {
    let low = start;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(middle, w0, w1, w2, w3) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first entry that a blocklist holds; undefined if there is none. */
  firstIn(list: Blocklist): Target | undefined {
    const { value } = this.#runsIn(list).next();
    return value === undefined ? undefined : this.#target((value as Run).first);
  }

  /** The first entry that a blocklist does not hold; undefined if there is none. */
  firstOutside(list: Blocklist): Target | undefined {
    let next = 0;
    for (const { first, end } of this.#runsIn(list)) {
      if (first > next) break;
      next = end;
    }
    return next < this.size ? this.#target(next) : undefined;
  }

  /** The list without the entries that a blocklist holds. */
  without(list: Blocklist): AddressList {
    return this.#withoutRuns([...this.#runsIn(list)]);
  }

  /** The entries for which a condition holds. It is called with one object, which is refilled for each entry. */
  filter(isKept: (target: Target) => boolean): AddressList {
    const target = new Target();
    const removed: Run[] = [];
    for (let i = 0; i < this.size; i++) {
      this.at(i, target);
      if (!isKept(target)) removed.push({ first: i, end: i + 1 });
    }
    return this.#withoutRuns(removed);
  }

  /** The entries of both lists. */
  union(other: AddressList): AddressList {
    if (this.size === 0) return other;
    if (other.size === 0) return this;
    const width = this.ports.length === 0 ? 4 : 5;
    const records = new Uint32Array((this.size + other.size) * width);
    this.#fill(records, 0, width);
    other.#fill(records, this.size * width, width);
    return AddressList.ofRecords(records, width);
  }

  *[Symbol.iterator](): Generator<Target> {
    for (let i = 0; i < this.size; i++) yield this.#target(i);
  }

  #target(i: number): Target {
    const target = new Target();
    this.at(i, target);
    return target;
  }

  #fill(records: Uint32Array, from: number, width: number): void {
    for (let i = 0, at = from; i < this.size; i++, at += width) {
      for (let word = 0; word < WORDS; word++) {
        records[at + word] = this.words[i * WORDS + word] as number;
      }
      if (width > WORDS) records[at + WORDS] = this.ports[i] ?? NO_PORT;
    }
  }

  /** The runs of entries that a blocklist holds, ascending, some of them adjacent. */
  *#runsIn({ ipv4, ipv6 }: Blocklist): Generator<Run> {
    const mapped = this.ipv4;
    yield* this.#runs6(ipv6, { first: 0, end: mapped.first });
    for (let i = mapped.first, range = 0; i < mapped.end; ) {
      const address = this.words[i * WORDS + 3] as number;
      range = ipv4.firstEndingAfter(address, range);
      if (range === ipv4.count) break;
      const first = Math.max(i, this.firstFrom(0, 0, MAPPED, ipv4.from[range] as number, i));
      const to = ipv4.to[range] as number;
      const end = to < 2 ** 32 ? this.firstFrom(0, 0, MAPPED, to, first) : mapped.end;
      if (first < end) yield { first, end };
      i = end;
    }
    yield* this.#runs6(ipv6, { first: mapped.end, end: this.size });
  }

  *#runs6(ranges: Ranges6, { first: from, end: to }: Run): Generator<Run> {
    for (let i = from, range = 0; i < to; range++) {
      const { w0, w1, w2, w3 } = this.#target(i);
      range = ranges.firstEndingFrom([w0, w1, w2, w3], range);
      if (range === ranges.count) return;
      const first = this.firstFrom(...ranges.firstOf(range), i);
      const last = ranges.lastOf(range);
      let end = this.firstFrom(...last, first);
      while (end < this.size && this.#compare(end, ...last) === 0) end++;
      const run = { first: Math.min(first, to), end: Math.min(end, to) };
      if (run.first < run.end) yield run;
      i = run.end;
    }
  }

  #withoutRuns(runs: readonly Run[]): AddressList {
    if (runs.length === 0) return this;
    const removed = runs.reduce((sum, { first, end }) => sum + end - first, 0);
    const kept = this.size - removed;
    const words = new Uint32Array(kept * WORDS);
    const ports = new Uint32Array(this.ports.length === 0 ? 0 : kept);
    let from = 0;
    let at = 0;
    for (const { first, end } of [...runs, { first: this.size, end: this.size }]) {
      words.set(this.words.subarray(from * WORDS, first * WORDS), at * WORDS);
      if (ports.length > 0) ports.set(this.ports.subarray(from, first), at);
      at += first - from;
      from = end;
    }
    return new AddressList(words, ports);
  }

  #compare(ordinal: number, w0: number, w1: number, w2: number, w3: number): number {
    const { words } = this;
    const i = ordinal * WORDS;
    return (
      (words[i] as number) - w0 ||
      (words[i + 1] as number) - w1 ||
      (words[i + 2] as number) - w2 ||
      (words[i + 3] as number) - w3
    );
  }

  /** True if entry `a` comes before entry `b`. */
  #isBefore(a: number, b: number): boolean {
    const { words, ports } = this;
    for (let word = 0; word < WORDS; word++) {
      const difference = (words[a * WORDS + word] as number) - (words[b * WORDS + word] as number);
      if (difference !== 0) return difference < 0;
    }
    return ports.length > 0 && (ports[a] as number) < (ports[b] as number);
  }
}

/** Moves the distinct records of a sorted array to its front. @returns their number */
function keepDistinct(records: Uint32Array, width: number): number {
  let kept = 0;
  for (let at = 0; at < records.length; at += width) {
    const last = (kept - 1) * width;
    if (kept > 0 && isSame(records, last, at, width)) continue;
    const target = kept++ * width;
    if (target === at) continue;
    for (let word = 0; word < width; word++) records[target + word] = records[at + word] as number;
  }
  return kept;
}

function isSame(records: Uint32Array, a: number, b: number, width: number): boolean {
  for (let word = width - 1; word >= 0; word--) {
    if (records[a + word] !== records[b + word]) return false;
  }
  return true;
}
