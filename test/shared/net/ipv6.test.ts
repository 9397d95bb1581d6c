import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Words } from '../../../shared/net/endpoint.js';
import {
  compareWords,
  formatIpv6,
  hasPrefix,
  lastOf,
  parseIpv6,
  parsePrefix6,
} from '../../../shared/net/ipv6.js';

const word = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.integer({ min: 0, max: 255 }),
);
const anyWords = fc.tuple(word, word, word, word) as fc.Arbitrary<Words>;
const numberOf = (words: Words) => words.reduce((sum, each) => (sum << 32n) | BigInt(each), 0n);

describe('IPv6 text', () => {
  test('is read back as the same address', () => {
    fc.assert(
      fc.property(anyWords, (words) => {
        expect(parseIpv6(formatIpv6(words))).toEqual(words);
      }),
    );
  });

  test('is the same as that of Node’s URL parser, an independent implementation', () => {
    fc.assert(
      fc.property(anyWords, (words) => {
        const text = formatIpv6(words);
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      }),
    );
  });

  test.each([
    ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::FFFF:192.0.2.1', '::ffff:c000:201'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is written %s (RFC 5952 §4)', (text, canonical) => {
    expect(formatIpv6(parseIpv6(text))).toBe(canonical);
  });

  test.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '12345::',
    '2001:db8',
    '::1/64',
    'g::',
    '::1.2.3.400',
    '1.2.3.4',
  ])('%j is refused, and the error names it', (text) => {
    expect(() => parseIpv6(text)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });

  test('of a prefix means exactly the addresses from its first to its last one', () => {
    fc.assert(
      fc.property(anyWords, fc.integer({ min: 0, max: 128 }), anyWords, (words, length, other) => {
        const prefix = parsePrefix6(`${formatIpv6(words)}/${length}`);
        const span = 1n << BigInt(128 - length);
        const first = numberOf(prefix.words);
        expect(first).toBe((numberOf(words) / span) * span);
        expect(numberOf(lastOf(prefix))).toBe(first + span - 1n);
        expect(hasPrefix(words, prefix)).toBe(true);
        const isWithin = numberOf(other) >= first && numberOf(other) < first + span;
        expect(hasPrefix(other, prefix)).toBe(isWithin);
        expect(Math.sign(compareWords(words, other))).toBe(
          numberOf(words) < numberOf(other) ? -1 : numberOf(words) > numberOf(other) ? 1 : 0,
        );
      }),
    );
  });
});
