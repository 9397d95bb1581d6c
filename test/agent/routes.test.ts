import { describe, expect, test } from 'vitest';
import { cutIpv4, cutIpv6, type Route } from '../../agent/egress/routes.js';
import { formatWords, parsePrefix6 } from '../../shared/net/ipv6.js';
import { parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';

const ranges = (...texts: string[]) => Ranges.of(texts.map(parseRange));
const route = (to: string, device: string, gateway?: string): Route => ({
  to,
  length: Number(to.split('/')[1]),
  metric: 0,
  device,
  gateway,
});
/** Most specific first, as they are read. */
const sorted = (routes: Route[]) => routes.sort((a, b) => b.length - a.length);

describe('cutting IPv4 targets along routes', () => {
  const TABLE = sorted([
    route('0.0.0.0/0', 'eth0', '100.64.0.1'),
    route('100.64.0.0/24', 'eth0'),
    route('198.18.0.0/16', 'eth1', '100.65.0.1'),
    route('127.0.0.0/8', 'lo'),
  ]);

  test('gives each target to its most specific route', () => {
    const legs = cutIpv4(ranges('100.64.0.0/23', '198.18.4.0/24', '127.0.0.1'), TABLE);
    const cut = legs.map(({ device, gateway, territory, example }) => {
      const size =
        territory.family === 4 ? Ranges.fromSorted(territory.from, territory.to).size : 0;
      return [device, gateway, size, formatWords(example)];
    });
    expect(cut).toHaveLength(4);
    expect(cut).toContainEqual(['eth0', undefined, 256, '100.64.0.0']);
    expect(cut).toContainEqual(['eth0', '100.64.0.1', 256, '100.64.1.0']);
    expect(cut).toContainEqual(['eth1', '100.65.0.1', 256, '198.18.4.0']);
    expect(cut).toContainEqual(['lo', undefined, 1, '127.0.0.1']);
  });

  test('names targets that no route leads to', () => {
    const specific = TABLE.filter(({ length }) => length > 0);
    expect(() => cutIpv4(ranges('198.18.0.0/15'), specific)).toThrow(
      expect.objectContaining({ code: 'NO_ROUTE', details: { value: '198.19.0.0/16' } }),
    );
  });
});

describe('cutting IPv6 targets along routes', () => {
  const TABLE = sorted([
    route('2001:db8::/32', 'eth0', '2001:db8:ffff::1'),
    route('2001:db8:1::/48', 'eth1', 'fe80::1'),
    route('2001:db8:2:3::/64', 'eth2'),
    route('2001:dead::/32', 'eth3'),
  ]);
  const cut = (...texts: string[]) =>
    cutIpv6(texts.map(parsePrefix6), TABLE).map(({ device, gateway }) => [device, gateway]);

  test('finds the route that holds a prefix, and those within it', () => {
    expect(cut('2001:db8:1:2::/64')).toEqual([['eth1', 'fe80::1']]);
    expect(cut('2001:db8::/40')).toEqual([
      ['eth2', undefined],
      ['eth1', 'fe80::1'],
      ['eth0', '2001:db8:ffff::1'],
    ]);
    expect(cut('2001:db8:1::1/128', '2001:db8:1::2/128')).toEqual([['eth1', 'fe80::1']]);
  });

  test('names a prefix that no route leads to', () => {
    expect(() => cut('2001:db9::/48')).toThrow(
      expect.objectContaining({ code: 'NO_ROUTE', details: { value: '2001:db9::/48' } }),
    );
  });
});
