/**
 * Alias detection: does a whole IPv6 prefix answer, although nobody lists its addresses? In each prefix of a tested
 * length around a target, sixteen addresses are probed, one in each of its sub-prefixes that are four bits longer,
 * with random bits below (Gasser et al., "Clusters in the Expanse", IMC 2018, §5). They follow from the seed, so
 * they are recognised with nothing but the survey's record.
 */
import { createHash } from 'node:crypto';
import { Fault } from '../../base/faults.js';
import type { Words } from '../../net/endpoint.js';
import { clearBehind, compareWords, lastOf } from '../../net/ipv6.js';
import { probePort } from '../../net/ports.js';
import { RecordColumn } from '../../net/record-column.js';
import { Chaskey } from '../../probe/chaskey.js';
import { AddressList } from './address-list.js';
import type { Window } from './window.js';

/** Addresses probed in each prefix, one per value of its next four bits. */
export const TESTS_PER_PREFIX = 16;
const NIBBLE = 4;
const NO_PORT = 0;
const LENGTH_MIN = 16;
/** Longer prefixes would leave so few random bits that a test could be an address that somebody listed. */
const LENGTH_MAX = 96;
/** The highest number of prefixes that one survey tests. */
const PREFIXES_MAX = 2 ** 18;

/** A tested prefix, and the number of one of its tests, 0 to 15. */
export interface AliasTest {
  readonly length: number;
  readonly prefix: Words;
  readonly nibble: number;
}

export class AliasTests {
  /** Tested lengths, the longest first; multiples of four. */
  readonly lengths: readonly number[];
  readonly #hash: Chaskey;
  readonly #input = new Int32Array(12);

  constructor(seed: string, lengths: readonly number[]) {
    this.lengths = [...new Set(lengths)].sort((a, b) => b - a);
    const digest = createHash('sha256').update(`transect alias tests ${seed}`).digest();
    this.#hash = new Chaskey(new Uint8Array(digest.subarray(0, 16)));
  }

  /** The address of test number `nibble` in the prefix of `length` bits that contains an address. */
  addressIn(words: Words, length: number, nibble: number): Words {
    const fixed = withNibble(clearBehind(words, length), length, nibble);
    const [r0, r1] = this.#random(fixed, length, 0);
    const [r2, r3] = this.#random(fixed, length, 1);
    const free = clearBehind([r0, r1, r2, r3], length + NIBBLE);
    const random = [r0 - free[0], r1 - free[1], r2 - free[2], r3 - free[3]] as const;
    return fixed.map((word, i) => (word | (random[i] as number)) >>> 0) as unknown as Words;
  }

  /** The test whose address this is; undefined if there is no such test. */
  testOf(words: Words): AliasTest | undefined {
    for (const length of this.lengths) {
      const nibble = nibbleOf(words, length);
      if (compareWords(this.addressIn(words, length, nibble), words) !== 0) continue;
      return { length, prefix: clearBehind(words, length), nibble };
    }
    return undefined;
  }

  /**
   * All tests of the prefixes around addresses and windows.
   * @throws Fault BAD_OPTION if there are too many
   */
  around(addresses: AddressList, windows: readonly Window[]): AddressList {
    const prefixes = new TestedPrefixes();
    for (const length of this.lengths) {
      for (const { isIpv4, words } of addresses) if (!isIpv4) prefixes.add(words, length, NO_PORT);
      for (const window of windows)
        for (const words of prefixesIn(window, length)) {
          if (hasTargets(window, words, length)) prefixes.add(words, length, NO_PORT);
        }
    }
    return this.#testsOf(prefixes, 4);
  }

  /** All tests of the prefixes around pairs, each at the port of its pair. @throws as `around` does */
  aroundPairs(pairs: AddressList): AddressList {
    const prefixes = new TestedPrefixes();
    for (const length of this.lengths) {
      for (const { isIpv4, words, probe, port } of pairs)
        if (!isIpv4) prefixes.add(words, length, probePort(probe, port));
    }
    return this.#testsOf(prefixes, 5);
  }

  #testsOf({ all }: TestedPrefixes, width: 4 | 5): AddressList {
    const tests = new RecordColumn(width);
    for (const { words, length, port } of all) {
      for (let nibble = 0; nibble < TESTS_PER_PREFIX; nibble++) {
        tests.push(...this.addressIn(words, length, nibble), port);
      }
    }
    return AddressList.ofRecords(tests.words, width);
  }

  #random(fixed: Words, length: number, half: number): readonly [number, number] {
    const input = this.#input;
    input.set(fixed);
    input[4] = length;
    input[5] = half;
    this.#hash.tag36(input);
    return [this.#hash.first >>> 0, this.#hash.second >>> 0];
  }
}

interface TestedPrefix {
  readonly words: Words;
  readonly length: number;
  readonly port: number;
}

/** Distinct prefixes, each with a port (0 without one). */
class TestedPrefixes {
  readonly #byText = new Map<string, TestedPrefix>();

  get all(): Iterable<TestedPrefix> {
    return this.#byText.values();
  }

  /** @throws Fault BAD_OPTION if there are too many */
  add(words: Words, length: number, port: number): void {
    const prefix = clearBehind(words, length);
    const text = `${prefix.join('.')}/${length} ${port}`;
    if (this.#byText.has(text)) return;
    if (this.#byText.size === PREFIXES_MAX) throw tooMany(length);
    this.#byText.set(text, { words: prefix, length, port });
  }
}

/** One address in each prefix of `length` bits within a window, or in the one that contains the window. */
function* prefixesIn({ prefix, end }: Window, length: number): Generator<Words> {
  const last = Math.min(end, length);
  const bits = last - prefix.length;
  if (bits > Math.log2(PREFIXES_MAX)) throw tooMany(length);
  const base = prefix.words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
  const count = bits <= 0 ? 1 : 2 ** bits;
  for (let n = 0; n < count; n++) {
    const value = base | (BigInt(n) << BigInt(128 - Math.max(last, prefix.length)));
    const word = (i: number) => Number((value >> BigInt(96 - 32 * i)) & 0xffffffffn);
    yield [word(0), word(1), word(2), word(3)];
  }
}

/** True if a window has addresses left in the prefix of `length` bits that contains an address. */
function hasTargets(window: Window, address: Words, length: number): boolean {
  const words = clearBehind(address, length);
  const { from, to } = window.slotsBetween(words, lastOf({ words, length }));
  const { ranges } = window.ranks;
  const next = ranges.firstEndingAfter(from);
  return next < ranges.count && (ranges.from[next] as number) < to;
}

function tooMany(length: number): Fault {
  const reason =
    `the targets are in more than ${PREFIXES_MAX} prefixes of ${length} bits: ` +
    'test shorter ones with --alias-lengths';
  return new Fault('BAD_OPTION', reason, { flag: '--detect-aliases' });
}

/** The four bits after the first `length`. */
function nibbleOf(words: Words, length: number): number {
  return ((words[length >>> 5] as number) >>> (28 - (length & 31))) & 15;
}

function withNibble(words: Words, length: number, nibble: number): Words {
  const at = length >>> 5;
  return words.map((word, i) =>
    i === at ? (word | (nibble << (28 - (length & 31)))) >>> 0 : word,
  ) as unknown as Words;
}

/** Reads `64` or `48,64`. @throws Fault BAD_OPTION */
export function parseAliasLengths(text: string): readonly number[] {
  const lengths = text
    .split(',')
    .map((each) => (/^ *\d+ *$/.test(each) ? Number(each) : Number.NaN));
  if (lengths.every(isAliasLength)) return lengths;
  const reason = `must be lengths of IPv6 prefixes, multiples of 4 from ${LENGTH_MIN} to ${LENGTH_MAX}`;
  throw new Fault('BAD_OPTION', reason, { value: text });
}

export function isAliasLength(length: number): boolean {
  return length % NIBBLE === 0 && length >= LENGTH_MIN && length <= LENGTH_MAX;
}
