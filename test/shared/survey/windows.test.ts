import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Words } from '../../../shared/net/endpoint.js';
import { Target } from '../../../shared/net/endpoint.js';
import { formatAddress, lastOf, parsePrefix6 } from '../../../shared/net/ipv6.js';
import { Ranges } from '../../../shared/net/ranges.js';
import { parseWindow } from '../../../shared/survey/space/parse-window.js';
import type { Window } from '../../../shared/survey/space/window.js';

const numberOf = ({ w0, w1, w2, w3 }: Target) =>
  [w0, w1, w2, w3].reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
const numberOfWords = (words: Words) =>
  words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);

function addressesOf(window: Window): string[] {
  return Array.from({ length: window.size }, (_, ordinal) => {
    const target = new Target();
    window.at(ordinal, target);
    return formatAddress(target);
  });
}

const SMALL = [
  '2001:db8::/120',
  '2001:db8::/28-36@::1',
  '2001:db8::/30-34@low:5',
  '2001:db8::/60-68@::1|::80|::443',
  '2001:db8::/62-66@low:3',
  '2001:db8::/94-98@low:7',
  '2001:db8:ffff::/48-52@ipv4:192.0.2.0/30',
  '2001:db8::/44-50@random',
  '2001:db8::1/128',
  '2001:db8::/32-32@low:9',
  '::/0-4@::1',
];

describe('an IPv6 window', () => {
  test.each(SMALL)('%s has each address once, ascending, and finds its ordinal', (text) => {
    const window = parseWindow(text, '7');
    const target = new Target();
    let previous = -1n;
    for (let ordinal = 0; ordinal < window.size; ordinal++) {
      window.at(ordinal, target);
      expect(numberOf(target) > previous).toBe(true);
      previous = numberOf(target);
      expect(window.ordinalOf(target)).toBe(ordinal);
    }
    expect(window.size).toBe(window.slots);
  });

  test('iterates over its bits and fills the rest with its identifiers', () => {
    expect(addressesOf(parseWindow('2001:db8::/62-64', '7'))).toEqual([
      '2001:db8::1',
      '2001:db8:0:1::1',
      '2001:db8:0:2::1',
      '2001:db8:0:3::1',
    ]);
    expect(addressesOf(parseWindow('2001:db8::/47-48@::443|::80', '7'))).toEqual([
      '2001:db8::80',
      '2001:db8::443',
      '2001:db8:1::80',
      '2001:db8:1::443',
    ]);
    expect(addressesOf(parseWindow('2001:db8::/64-64@ipv4:192.0.2.7', '7'))).toEqual([
      '2001:db8::c000:207',
    ]);
  });

  test('with a vendor’s EUI-64 identifiers has all 2^24 of them (RFC 4291 appendix A)', () => {
    const window = parseWindow('2001:db8::/64-64@eui64:00:50:56', '7');
    expect(window.size).toBe(2 ** 24);
    const target = new Target();
    window.at(0xabcdef, target);
    expect(formatAddress(target)).toBe('2001:db8::250:56ff:feab:cdef');
    expect(window.ordinalOf(target)).toBe(0xabcdef);
  });

  test('with random identifiers has the same ones for the same seed, and different ones for another', () => {
    const of = (seed: string) => addressesOf(parseWindow('2001:db8::/60-64@random', seed));
    expect(of('7')).toEqual(of('7'));
    expect(of('7')).not.toEqual(of('8'));
    expect(new Set(of('7').map((address) => address.split(':').slice(-2).join())).size).toBe(16);
  });

  test('of up to 2^53 addresses is exact at both ends and anywhere between', () => {
    for (const text of ['2001:db8::/11-64', '2001:db8::/32-64@low:2097152', '2001:db8::/75']) {
      const window = parseWindow(text, '7');
      expect(window.size).toBe(2 ** 53);
      const target = new Target();
      fc.assert(
        fc.property(fc.maxSafeInteger(), (n) => {
          for (const ordinal of [0, 2 ** 53 - 1, Math.abs(n)]) {
            window.at(ordinal, target);
            expect(window.ordinalOf(target)).toBe(ordinal);
          }
        }),
        { numRuns: 50 },
      );
    }
  });

  test('leaves out exactly the addresses of a prefix of any length', () => {
    const length = fc.integer({ min: 0, max: 128 });
    fc.assert(
      fc.property(fc.constantFrom(...SMALL), length, fc.integer({ min: 0 }), (text, bits, pick) => {
        const window = parseWindow(text, '7');
        const anchor = new Target();
        window.at(pick % window.size, anchor);
        const prefix = parsePrefix6(`${formatAddress(anchor)}/${bits}`);
        const first = numberOfWords(prefix.words);
        const last = numberOfWords(lastOf(prefix));
        const { from, to } = window.slotsBetween(prefix.words, lastOf(prefix));
        const kept = window.keeping(window.ranks.ranges.subtract(Ranges.of([{ from, to }])));
        const expected = addressesOf(window).filter((_, ordinal) => {
          const target = new Target();
          window.at(ordinal, target);
          return numberOf(target) < first || numberOf(target) > last;
        });
        expect(addressesOf(kept)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['2001:db8::/32', 'SPACE_TOO_LARGE', '2001:db8::/32-64@::1'],
    ['2001:db8::/0-64', 'SPACE_TOO_LARGE', 'narrow'],
    ['2001:db8::/64-32', 'BAD_OPTION', 'from a lower to a higher bit'],
    ['2001:db8::/32-129', 'BAD_OPTION', 'at most 127'],
    ['2001:db8::/32-100@eui64:00:50:56', 'BAD_OPTION', 'need 64 bits'],
    ['2001:db8::/32-120@low:300', 'BAD_OPTION', 'need 9 bits'],
    ['2001:db8::/32-64@nope', 'BAD_OPTION', 'there are ::1'],
    ['2001:db8::/32-64@eui64:0050', 'BAD_OPTION', 'three octets'],
    ['2001:db8::/32-64@low:0', 'BAD_OPTION', 'low:N'],
    ['2001:db8::/64@::1', 'BAD_OPTION', 'allowed after a window only'],
    ['2001:db8::', 'BAD_OPTION', 'PREFIX/LENGTH'],
  ])('%s is refused: %s', (text, code, reason) => {
    expect(() => parseWindow(text, '7')).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(reason) }),
    );
  });
});
