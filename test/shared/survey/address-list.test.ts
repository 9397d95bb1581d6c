import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Target } from '../../../shared/net/endpoint.js';
import { formatAddress } from '../../../shared/net/ipv6.js';
import { RuleList } from '../../../shared/survey/lists/rule-list.js';
import { Blocklist } from '../../../shared/survey/policy/blocklist.js';
import { AddressList } from '../../../shared/survey/space/address-list.js';

/** Few addresses, so that lists and rules often meet. */
const low = fc.constantFrom(0, 1, 2, 3, 7, 8, 0xfffffffe, 0xffffffff);
const record = fc.oneof(
  low.map((w3) => [0, 0, 0xffff, w3]),
  fc.tuple(fc.constantFrom(0, 0x20010db8, 0xffffffff), low, fc.constantFrom(0, 0xffff), low),
) as fc.Arbitrary<[number, number, number, number]>;
const records = fc.array(record, { maxLength: 30 });
const rule = fc.oneof(
  fc.constantFrom('0.0.0.0/31', '0.0.0.2', '0.0.0.7-0.0.0.8', '255.255.255.255', '0.0.0.0/0'),
  fc.constantFrom('2001:db8::/32', '2001:db8:0:1::/64', '::/127', '::/1', 'ffff:ffff::/32'),
  record.filter(([w0]) => w0 > 0).map((words) => formatAddress(targetOf(words))),
);
const rules = fc.array(rule, { maxLength: 6 });

function targetOf(words: readonly [number, number, number, number]): Target {
  const target = new Target();
  target.setWords(words);
  return target;
}

function blocklistOf(texts: readonly string[]): Blocklist {
  const list = new RuleList({});
  for (const text of texts) list.addText(text, 0);
  return Blocklist.of([list]);
}

const listOf = (all: readonly (readonly number[])[]) =>
  AddressList.ofRecords(Uint32Array.from(all.flat()), 4);
const textsOf = (list: AddressList) => [...list].map(formatAddress);

describe('a list of addresses', () => {
  test('is sorted, has each address once, and finds the rank of each', () => {
    fc.assert(
      fc.property(records, records, (all, others) => {
        const list = listOf(all);
        const distinct = new Set(all.map((words) => formatAddress(targetOf(words))));
        expect(new Set(textsOf(list))).toEqual(distinct);
        expect(list.size).toBe(distinct.size);
        for (const [i, target] of [...list].entries()) expect(list.ordinalOf(target, 0)).toBe(i);
        for (const words of others) {
          const target = targetOf(words);
          expect(list.ordinalOf(target, 0) >= 0).toBe(distinct.has(formatAddress(target)));
        }
        expect(AddressList.fromSorted(list.words, list.ports).size).toBe(list.size);
      }),
      { numRuns: 2000 },
    );
  });

  test('without a blocklist has exactly the addresses that the blocklist does not hold', () => {
    fc.assert(
      fc.property(records, rules, (all, texts) => {
        const list = listOf(all);
        const blocked = blocklistOf(texts);
        const outside = [...list].filter((target) => !blocked.holds(target)).map(formatAddress);
        const inside = [...list].filter((target) => blocked.holds(target)).map(formatAddress);
        expect(textsOf(list.without(blocked))).toEqual(outside);
        const named = (target: Target | undefined) => target && formatAddress(target);
        expect(named(list.firstIn(blocked))).toBe(inside[0]);
        expect(named(list.firstOutside(blocked))).toBe(outside[0]);
      }),
      { numRuns: 5000 },
    );
  });

  test('united with another has the addresses of both', () => {
    fc.assert(
      fc.property(records, records, (some, others) => {
        const both = listOf(some).union(listOf(others));
        expect(textsOf(both)).toEqual(textsOf(listOf([...some, ...others])));
      }),
    );
  });
});
