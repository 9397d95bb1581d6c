import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Target, type Words } from '../../shared/net/endpoint.js';
import { clearBehind, type Prefix6 } from '../../shared/net/ipv6.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import { ProbeBatch } from '../../shared/probe/probe-batch.js';
import { blocking } from '../support/send-filters.js';

/** Few values, so that prefixes and addresses often meet, above all at the borders of /16 networks. */
const word = fc.constantFrom(
  0,
  1,
  0xffff,
  0x10000,
  0x20010db8,
  0x2001ffff,
  0x20020000,
  0xffff0000,
  0xffffffff,
);
const address = fc.tuple(word, word, word, word) as fc.Arbitrary<Words>;
const prefix = fc
  .tuple(address, fc.constantFrom(0, 1, 8, 15, 16, 17, 31, 32, 33, 64, 127, 128))
  .map(([words, length]): Prefix6 => ({ words: clearBehind(words, length), length }));

test('a send filter holds back exactly the IPv6 targets in its ranges, also at the borders of its table', () => {
  fc.assert(
    fc.property(
      fc.array(prefix, { maxLength: 5 }),
      fc.array(address, { minLength: 1 }),
      (prefixes, addresses) => {
        const ranges = Ranges6.of(prefixes);
        const batch = new ProbeBatch(addresses.length);
        for (const [i, words] of addresses.entries()) {
          const target = new Target();
          target.setWords(words);
          batch.add(target, i);
        }
        const heldBack: number[] = [];
        blocking(Ranges.none, ranges).filter(batch, 6, (row) =>
          heldBack.push(batch.position[row] as number),
        );
        const expected = [...addresses.keys()].filter((i) =>
          ranges.contains(...(addresses[i] as Words)),
        );
        expect(heldBack).toEqual(expected);
        expect(batch.count).toBe(addresses.length - expected.length);
      },
    ),
    { numRuns: 3000 },
  );
});
