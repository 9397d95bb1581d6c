import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Words } from '../../../shared/net/endpoint.js';
import { hasPrefix, type Prefix6, parsePrefix6 } from '../../../shared/net/ipv6.js';
import { Ranges6 } from '../../../shared/net/ranges6.js';

/** Prefixes and addresses are made of few distinct words, so that they often overlap. */
const word = fc.constantFrom(0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff);
const address = fc.tuple(word, word, word, word) as fc.Arbitrary<Words>;
const prefix = fc.tuple(address, fc.integer({ min: 0, max: 128 })).map(([words, length]) => {
  const bits = (i: number) => Math.min(32, Math.max(0, length - 32 * i));
  const mask = (i: number) => (bits(i) === 0 ? 0 : -1 << (32 - bits(i)));
  const cut = words.map((value, i) => (value & mask(i)) >>> 0);
  return { words: cut as unknown as Words, length } satisfies Prefix6;
});
const prefixes = fc.array(prefix, { maxLength: 6 });

describe('a set of IPv6 ranges', () => {
  test('contains exactly the addresses of its prefixes, except those of excepted prefixes', () => {
    fc.assert(
      fc.property(prefixes, prefixes, prefixes, address, (some, except, more, words) => {
        const within = (list: readonly Prefix6[]) => list.some((each) => hasPrefix(words, each));
        const set = Ranges6.of(some, except);
        expect(set.contains(...words)).toBe(within(some) && !within(except));
        const union = set.union(Ranges6.of(more));
        expect(union.contains(...words)).toBe(set.contains(...words) || within(more));
        expect(Ranges6.fromWords(union.words).contains(...words)).toBe(union.contains(...words));
      }),
      { numRuns: 3000 },
    );
  });

  test('joins adjacent prefixes, and is empty without prefixes', () => {
    const halves = ['2001:db8::/33', '2001:db8:8000::/33'].map(parsePrefix6);
    expect(Ranges6.of(halves).count).toBe(1);
    expect(Ranges6.none.contains(0, 0, 0, 0)).toBe(false);
    expect(Ranges6.of(halves, halves).count).toBe(0);
  });
});
