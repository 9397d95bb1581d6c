import { expect, test } from 'vitest';
import { bestSource, type InterfaceAddress } from '../../agent/egress/source-address.js';
import { formatWords, parseWords } from '../../shared/net/ipv6.js';

const of = (local: string, more: InterfaceAddress = {}): InterfaceAddress => {
  return { local, scope: 'global', ...more };
};
const TARGET = parseWords('2001:db8:1::9');

test.each<[string, InterfaceAddress[], string | undefined]>([
  ['the longest prefix in common', [of('2001:db8:2::1'), of('2001:db8:1::1')], '2001:db8:1::1'],
  [
    'one that is not deprecated',
    [of('2001:db8:1::1', { deprecated: true }), of('2001:db8:2::1')],
    '2001:db8:2::1',
  ],
  [
    'a deprecated one if there is no other',
    [of('2001:db8:1::1', { deprecated: true })],
    '2001:db8:1::1',
  ],
  [
    'no temporary, tentative, duplicate or link-local one',
    [
      of('2001:db8:1::2', { temporary: true }),
      of('2001:db8:1::3', { tentative: true }),
      of('2001:db8:1::4', { dadfailed: true }),
      of('fe80::1', { scope: 'link' }),
    ],
    undefined,
  ],
])('the source address on an interface is %s', (_name, addresses, expected) => {
  const best = bestSource(addresses, TARGET);
  expect(best && formatWords(best)).toBe(expected);
});
