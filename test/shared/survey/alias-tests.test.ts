import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AliasVotes } from '../../../coordinator/cli/stored/alias-votes.js';
import { Target, type Words } from '../../../shared/net/endpoint.js';
import {
  clearBehind,
  formatIpv6,
  formatWords,
  hasPrefix,
  parseIpv6,
} from '../../../shared/net/ipv6.js';
import type { ProbePort } from '../../../shared/net/ports.js';
import { parseBlock } from '../../../shared/survey/lists/rule-list.js';
import { parseTarget } from '../../../shared/survey/lists/target-list.js';
import { AddressList } from '../../../shared/survey/space/address-list.js';
import { AliasTests, parseAliasLengths } from '../../../shared/survey/space/alias-tests.js';
import { compose, type Lists } from '../../../shared/survey/space/compose.js';
import { parseWindow } from '../../../shared/survey/space/parse-window.js';
import { hitlistOf, NO_LISTS, pairsOf } from '../../support/lists.js';

const word = fc.integer({ min: 0, max: 0xffffffff });
const anyWords = fc.tuple(word, word, word, word) as fc.Arbitrary<Words>;
const anyLength = fc.integer({ min: 4, max: 24 }).map((n) => 4 * n);

const allow = ['2001:db8::/32', '198.18.0.0/15'].map((text) => parseBlock(text, ''));
const compositionOf = (lists: Partial<Lists>, lengths: readonly number[]) =>
  compose({
    ...{ ...NO_LISTS, allowSpecial: allow },
    ports: [443] as ProbePort[],
    aliasTests: new AliasTests('7', lengths),
    ...lists,
  });
const addressesOf = ({ space }: ReturnType<typeof compose>) =>
  Array.from({ length: space.size }, (_, i) => {
    const target = new Target();
    space.at(i as never, target);
    return target;
  });

describe('the alias tests of a prefix', () => {
  test('are one address in each of its sixteen parts, the same each time, and are recognised as tests', () => {
    fc.assert(
      fc.property(anyWords, anyLength, fc.string(), (words, length, seed) => {
        const tests = new AliasTests(seed, [length]);
        const prefix = clearBehind(words, length);
        const nibbles = new Set<number>();
        for (let nibble = 0; nibble < 16; nibble++) {
          const address = tests.addressIn(words, length, nibble);
          expect(hasPrefix(address, { words: prefix, length })).toBe(true);
          expect(tests.testOf(address)).toEqual({ length, prefix, nibble });
          expect(new AliasTests(seed, [length]).addressIn(prefix, length, nibble)).toEqual(address);
          nibbles.add(
            Number(
              (BigInt(`0x${address.map((w) => w.toString(16).padStart(8, '0')).join('')}`) >>
                BigInt(124 - length)) &
                15n,
            ),
          );
        }
        expect(nibbles.size).toBe(16);
      }),
    );
  });

  test('differ by seed, and no other address is taken for a test', () => {
    fc.assert(
      fc.property(anyWords, (words) => {
        const [one, other] = [new AliasTests('1', [64]), new AliasTests('2', [64])];
        expect(one.addressIn(words, 64, 3)).not.toEqual(other.addressIn(words, 64, 3));
        expect(one.testOf(words)).toBeUndefined();
      }),
    );
  });
});

describe('a space with alias tests', () => {
  test('has sixteen more addresses for each IPv6 prefix of its targets, and no more for IPv4 targets', () => {
    const hitlists = [hitlistOf('2001:db8:1::5', '2001:db8:1::6', '2001:db8:2::5', '198.18.0.1')];
    const composition = compositionOf({ hitlists }, [64]);
    expect(composition.space.size).toBe(4 + 32);
    expect(composition.sources).toContainEqual({ reason: 'alias tests', addresses: 32 });
    expect(compositionOf({ hitlists }, [48, 64]).space.size).toBe(4 + 64);
  });

  test('has no test in prefixes whose targets are all excluded, and no test address that is excluded itself', () => {
    const exclusions = ['2001:db8:1::5', '2001:db8:2::8000:0:0:0/65'].map((text) =>
      parseBlock(text, ''),
    );
    const hitlists = [hitlistOf('2001:db8:1::5', '2001:db8:2::5')];
    const addresses = addressesOf(compositionOf({ hitlists, exclusions }, [64]));
    expect(addresses).toHaveLength(1 + 8);
    for (const { w1, w2 } of addresses) expect([w1 >>> 16, w2 < 0x80000000]).toEqual([2, true]);
  });

  test('has no test in a network of a window in which no target is left', () => {
    const targets = [parseTarget('2001:db8::/63-64@::1', ''), parseTarget('2001:db8:7::/120', '')];
    const exclusions = ['2001:db8::1', '2001:db8:7::/121', '2001:db8:7::80/121'].map((text) =>
      parseBlock(text, ''),
    );
    expect(compositionOf({ targets, exclusions }, [64]).space.size).toBe(1 + 16);
  });

  test('has the tests of pairs at their own port, and only there', () => {
    const pairs = [pairsOf('[2001:db8:1::5]:22', '[2001:db8:2::5]:80', '[2001:db8:2::6]:80')];
    const addresses = addressesOf(compositionOf({ pairs, ports: [] }, [64]));
    expect(addresses).toHaveLength(3 + 32);
    for (const { w1, port } of addresses) expect(port).toBe(w1 >>> 16 === 1 ? 22 : 80);
  });

  test.each([
    ['2001:db8::/80', [64], 16],
    ['2001:db8::/112', [96], 16],
    ['2001:db8::/32-48@::1', [48], 16 * 65_536],
    ['2001:db8::/56-64@::1', [64], 16 * 256],
    ['2001:db8::/56-64@::1', [48], 16],
    ['2001:db8::/56-64@low:9', [96], 16 * 256],
  ] as const)(
    'tests the prefixes of window %s at lengths %j: %s addresses',
    (text, lengths, expected) => {
      const tests = new AliasTests('7', lengths);
      expect(tests.around(AddressList.none, [parseWindow(text, '7')]).size).toBe(expected);
    },
  );

  test('is refused with more prefixes than can be tested, and a shorter length is proposed', () => {
    const tests = new AliasTests('7', [64]);
    expect(() =>
      tests.around(AddressList.none, [parseWindow('2001:db8::/32-64@::1', '7')]),
    ).toThrow(/--alias-lengths/);
  });

  test.each(['', '63', '12', '100', '64,', 'x', '64;48', '-64'])('refuses length %j', (text) => {
    expect(() => parseAliasLengths(text)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });
});

describe('the votes on aliases', () => {
  const tests = new AliasTests('7', [48, 64]);
  const inside = parseIpv6('2001:db8:1:2::77');
  const vote = (
    votes: AliasVotes,
    length: number,
    nibbles: number,
    probe = 'tcp-syn',
    port = 443,
  ) => {
    for (let nibble = 0; nibble < nibbles; nibble++) {
      votes.add({ address: formatWords(tests.addressIn(inside, length, nibble)), probe, port });
    }
  };
  const target = { address: '2001:db8:1:2::77', probe: 'tcp-syn', port: 443 };

  test('find an alias only if all sixteen tests answer, to one probe or to several together', () => {
    const votes = new AliasVotes(tests);
    vote(votes, 64, 15);
    expect(votes.tagOf(target)).toEqual({ isTest: false, votes: 15, isAliased: false });
    votes.add({
      address: formatWords(tests.addressIn(inside, 64, 15)),
      probe: 'icmp-echo',
      port: 0,
    });
    expect(votes.tagOf(target)).toEqual({ isTest: false, votes: 15, isAliased: true });
    expect(votes.tagOf({ ...target, probe: 'icmp-echo', port: 0 })).toMatchObject({ votes: 1 });
  });

  test('are counted for a target by its longest prefix, but are listed for shorter prefixes too', () => {
    const votes = new AliasVotes(tests);
    vote(votes, 48, 16);
    vote(votes, 64, 3);
    expect(votes.tagOf(target)).toEqual({ isTest: false, votes: 3, isAliased: false });
    const elsewhere = { ...target, address: '2001:db8:1:9::1' };
    expect(votes.tagOf(elsewhere)).toMatchObject({ votes: 0, isAliased: false });
    expect([...votes.all()].map(({ prefix, votes: count }) => [prefix, count])).toEqual([
      ['2001:db8:1::/48', 16],
      ['2001:db8:1:2::/64', 3],
    ]);
  });

  test('come from tests only, once each', () => {
    const votes = new AliasVotes(tests);
    votes.add(target);
    for (let i = 0; i < 5; i++) vote(votes, 64, 2);
    expect(votes.tagOf(target)).toMatchObject({ votes: 2 });
    expect(
      votes.tagOf({ ...target, address: formatIpv6(tests.addressIn(inside, 64, 0)) }),
    ).toMatchObject({ isTest: true });
  });
});
