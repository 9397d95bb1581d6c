import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutTargets } from '../../agent/egress/routes/cut-targets.js';
import type { Span } from '../../agent/egress/routes/partition.js';
import { flatten, overlay } from '../../agent/egress/routes/partition.js';
import { type RuleRecord, stepsFor } from '../../agent/egress/routes/policy-rules.js';
import { segmentsOf } from '../../agent/egress/routes/route-slices.js';
import { type Hop, parseRoute, type RouteEntry } from '../../agent/egress/routes/route-table.js';
import type { TargetSpans } from '../../agent/egress/routes/target-spans.js';
import { cidrsOf } from '../../shared/net/cidr.js';
import { formatWords } from '../../shared/net/ipv6.js';

/** Output of `ip route show table all` with Debian's own tables and those of wg-quick. */
const LINES = [
  'default via 100.64.0.1 dev eth0 proto static metric 10',
  'default via 100.64.0.9 dev eth9 metric 20',
  '100.64.0.0/24 dev eth0 proto kernel scope link src 100.64.0.2',
  '198.18.0.0/16 via 100.65.0.1 dev eth1',
  'blackhole 198.18.5.0/24',
  'prohibit 198.18.6.0/24 metric 5',
  'throw 198.18.7.0/24',
  'unreachable 198.18.8.0/24',
  '198.19.0.0/24 \\\tnexthop via 100.64.0.3 dev eth0 weight 1 \\\tnexthop via 100.65.0.3 dev eth1 weight 1',
  'default dev wg0 table 51820 scope link',
  '2 127.0.0.0/8 dev lo table 255 proto kernel scope host src 127.0.0.1',
  'local 100.64.0.2 dev eth0 table 255 proto kernel scope host src 100.64.0.2',
  '3 100.64.0.255 dev eth0 table 255 proto kernel scope link src 100.64.0.2',
];
const RULES: readonly RuleRecord[] = [
  { priority: 0, src: 'all', table: '255' },
  { priority: 32766, src: 'all', table: '254' },
  { priority: 32767, src: 'all', table: '253' },
];
/** The rules of a host on which wg-quick(8) has set up a tunnel. */
const TUNNEL: readonly RuleRecord[] = [
  { priority: 0, src: 'all', table: '255' },
  { priority: 100, src: 'all', table: '254', suppress_prefixlen: 0 },
  { priority: 101, src: 'all', not: null, fwmark: '0xca6c', table: '51820' },
  { priority: 32766, src: 'all', table: '254' },
];

function tablesOf(lines: readonly string[], device?: string): Map<number, RouteEntry[]> {
  const tables = new Map<number, RouteEntry[]>();
  for (const line of lines) {
    const read = parseRoute(line, 4, device);
    if (read === undefined) continue;
    tables.set(read.table, [...(tables.get(read.table) ?? []), read.entry]);
  }
  return tables;
}

/** Sorted, disjoint spans as a list of targets. */
function spansOf(spans: readonly Span<bigint>[]): TargetSpans {
  return {
    count: spans.length,
    spanAt: (i) => spans[i] as Span<bigint>,
    firstEndingAfter: (at, start) => {
      const found = spans.findIndex(({ to }, i) => i >= start && to > at);
      return found < 0 ? spans.length : found;
    },
  };
}

const NONE = { device: undefined, sources: [] };
const address = (text: string) =>
  text.split('.').reduce((sum, octet) => sum * 256n + BigInt(octet), 0n);

function routed(rules: readonly RuleRecord[], texts: readonly string[], device?: string) {
  const tables = tablesOf(LINES, device);
  const segments = segmentsOf({ family: 4, rules, tables }, { device, sources: [] });
  return texts.map((text) => {
    const at = address(text);
    const found = segments.find(({ from, to }) => from <= at && at < to)?.value;
    if (found === undefined) return 'no route';
    if (found.kind !== 'hop') return found.kind === 'null' ? found.type : found.kind;
    return [found.device, ...(found.gateway === undefined ? [] : [found.gateway])].join(' ');
  });
}

describe('routes', () => {
  test('are followed as the kernel follows them: rules, tables, longest prefix, metric', () => {
    expect(
      routed(RULES, [
        '192.0.2.1',
        '100.64.0.7',
        '100.64.0.255',
        '100.64.0.2',
        '198.18.4.1',
        '198.18.5.1',
        '198.18.6.1',
        '198.18.7.1',
        '198.18.8.1',
        '198.19.0.1',
        '127.0.0.1',
      ]),
    ).toEqual([
      'eth0 100.64.0.1',
      'eth0',
      'broadcast',
      'lo',
      'eth1 100.65.0.1',
      'blackhole',
      'prohibit',
      'no route',
      'unreachable',
      'eth0 100.64.0.3',
      'lo',
    ]);
  });

  test('lead into a tunnel by default, except for the more specific routes of the main table', () => {
    expect(routed(TUNNEL, ['192.0.2.1', '198.18.4.1', '100.64.0.7', '198.18.7.1'])).toEqual([
      'wg0',
      'eth1 100.65.0.1',
      'eth0',
      'wg0',
    ]);
  });

  test('are limited to the given interface, but null routes always apply', () => {
    expect(routed(RULES, ['192.0.2.1', '198.18.4.1', '198.18.5.1', '198.19.0.1'], 'eth1')).toEqual([
      'no route',
      'eth1 100.65.0.1',
      'blackhole',
      'eth1 100.65.0.3',
    ]);
  });

  test('cut targets into slices, name null routes, and leave out targets without a route', () => {
    const main = LINES.filter((line) => !line.startsWith('default'));
    const segments = segmentsOf({ family: 4, rules: RULES, tables: tablesOf(main) }, NONE);
    const targets = [{ from: address('198.18.4.0'), to: address('198.18.8.0') }];
    const { slices, unroutable, left } = cutTargets([spansOf(targets)], segments, 4);
    expect(slices.map(({ device, example }) => [device, formatWords(example)])).toEqual([
      ['eth1', '198.18.4.0'],
    ]);
    expect(unroutable).toEqual([
      { text: '198.18.5.0/24', reason: 'a blackhole route of this host' },
      { text: '198.18.6.0/24', reason: 'a prohibit route of this host' },
    ]);
    expect(left).toEqual([{ from: address('198.18.7.0'), to: address('198.18.8.0') }]);
  });
});

describe('targets on one link', () => {
  const slicesFor = (
    family: 4 | 6,
    lines: readonly string[],
    spans: readonly [bigint, bigint][],
  ) => {
    const entries = lines.map((line) => parseRoute(line, family, undefined)?.entry);
    const tables = new Map([[254, entries as RouteEntry[]]]);
    const segments = segmentsOf({ family, rules: RULES, tables }, NONE);
    const targets = spans.map(([from, to]) => ({ from, to }));
    return cutTargets([spansOf(targets)], segments, family).slices.map(({ example }) =>
      formatWords(example),
    );
  };

  test('are divided by the source address of their IPv4 subnet or route', () => {
    const lines = [
      'default via 100.64.0.1 dev eth0',
      '100.64.0.0/24 dev eth0 proto 2 scope 253 src 100.64.0.2',
      '100.64.1.0/24 dev eth0 scope 253',
      '198.18.0.0/24 dev eth0 proto 2 scope 253 src 198.18.0.2',
      '198.19.0.0/24 via 100.64.0.1 dev eth0 src 198.18.0.2',
    ];
    const all: [bigint, bigint] = [address('100.64.0.0'), address('198.20.0.0')];
    expect(slicesFor(4, lines, [all]).toSorted()).toEqual([
      '100.64.0.0',
      '100.64.1.0',
      '100.64.2.0', // the default route
      '198.18.0.0',
      '198.19.0.0',
    ]);
  });

  test('are divided by the IPv6 prefixes of our own addresses, and not by other routes to the link', () => {
    const lines = [
      '2001:db8:1::/64 dev eth0 proto 2 metric 256 pref medium',
      '2001:db8:2::/64 dev eth0 proto 9 metric 256 pref medium',
      '2001:db8:3::/64 dev eth0 metric 1024 pref medium',
      '2001:db8:4::/64 dev eth0 metric 1024 pref medium',
    ];
    const prefix = (n: bigint): [bigint, bigint] => {
      const from = (0x20010db8n << 96n) | (n << 80n);
      return [from, from + (1n << 64n)];
    };
    expect(slicesFor(6, lines, [1n, 2n, 3n, 4n].map(prefix))).toEqual([
      '2001:db8:1::',
      '2001:db8:2::',
      '2001:db8:3::',
    ]);
  });
});

describe('rules', () => {
  const ours = { family: 4, device: undefined, sources: [] } as const;
  const taken = (rule: Partial<RuleRecord>, by: Partial<Parameters<typeof stepsFor>[1]> = {}) =>
    stepsFor([{ priority: 1, src: 'all', table: '7', ...rule }], { ...ours, ...by }).length > 0;

  test.each<[string, Partial<RuleRecord>, Partial<Parameters<typeof stepsFor>[1]>, boolean]>([
    ['for everything', {}, {}, true],
    ['for a mark', { fwmark: '0x1' }, {}, false],
    ['for all but a mark', { fwmark: '0x1', not: null }, {}, true],
    ['for incoming packets', { iif: 'eth0' }, {}, false],
    ['for packets of this host', { iif: 'lo' }, {}, true],
    ['for another interface', { oif: 'eth1' }, { device: 'eth0' }, false],
    ['for our interface', { oif: 'eth0' }, { device: 'eth0' }, true],
    ['for a source address, if the kernel chooses ours', { src: '100.64.0.2' }, {}, false],
    ['for our source', { src: '100.64.0.0', srclen: 24 }, { sources: [0x64400002n] }, true],
    ['for UDP', { ipproto: 'udp' }, {}, false],
    ['for one port', { dport: 53 }, {}, false],
    ['that do nothing', { table: undefined as never }, {}, false],
  ])('%s are followed only if they match our probes', (_what, rule, by, expected) => {
    expect(taken(rule, by)).toBe(expected);
  });

  test('that prohibit packets act as null routes, and goto continues at a later rule', () => {
    const rules: RuleRecord[] = [
      { priority: 1, src: 'all', dst: '198.18.0.0', dstlen: 15, action: 'prohibit' },
      { priority: 2, src: 'all', goto: 9, action: 'goto' },
      { priority: 3, src: 'all', table: '8' },
      { priority: 9, src: 'all', table: '254' },
    ];
    expect(stepsFor(rules, ours).map(({ table }) => table)).toEqual([undefined, 254]);
    expect(routed(rules, ['198.18.4.1', '192.0.2.1'])).toEqual([
      'rule 1 (prohibit)',
      'eth0 100.64.0.1',
    ]);
  });
});

describe('a partition', () => {
  const prefix = fc.record({
    length: fc.integer({ min: 0, max: 8 }),
    at: fc.integer({ min: 0, max: 255 }),
    metric: fc.integer({ min: 0, max: 2 }),
    value: fc.integer({ min: 0, max: 4 }),
  });

  test('gives each address the longest prefix that contains it, and among equals the lowest metric', () => {
    fc.assert(
      fc.property(fc.array(prefix, { maxLength: 40 }), (drawn) => {
        const entries = drawn.map(({ length, at, metric, value }) => {
          const size = 2 ** (8 - length);
          const from = at - (at % size);
          return { from, to: from + size, length, metric, value };
        });
        const segments = flatten(entries);
        for (let number = 0; number < 256; number++) {
          const heldLease = entries
            .filter(({ from, to }) => from <= number && number < to)
            .sort((a, b) => b.length - a.length || a.metric - b.metric);
          const found = segments.filter(({ from, to }) => from <= number && number < to);
          expect(found.length).toBe(heldLease.length > 0 ? 1 : 0);
          expect(found[0]?.value).toBe(heldLease[0]?.value);
        }
        const { taken, left } = overlay([{ from: 10, to: 200 }], segments);
        const spans = [...taken, ...left].sort((a, b) => a.from - b.from);
        expect(spans[0]?.from).toBe(10);
        expect(spans.at(-1)?.to).toBe(200);
        for (const [i, { from }] of spans.entries()) if (i > 0) expect(from).toBe(spans[i - 1]?.to);
      }),
    );
  });

  test('of a million routes takes no more than a few seconds', () => {
    const hops: Hop[] = [1, 2, 3].map((n) => ({
      kind: 'hop',
      device: `eth${n}`,
      gateway: undefined,
      source: undefined,
    }));
    const entries = Array.from({ length: 1_000_000 }, (_, i) => {
      const from = BigInt(i) << 12n;
      return { from, to: from + 4096n, length: 20, metric: 0, value: hops[i % 3] as Hop };
    });
    expect(flatten(entries)).toHaveLength(1_000_000);
  });
});

describe('a range of addresses', () => {
  test('is divided into prefixes that cover it without gap or overlap', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(255), (a, b) => {
        const [from, to] = [BigInt(Math.min(a, b)), BigInt(Math.max(a, b))];
        let at = from;
        for (const cidr of cidrsOf(from, to, 32)) {
          expect(cidr.from).toBe(at);
          at += 1n << BigInt(32 - cidr.length);
        }
        expect(at).toBe(to);
      }),
    );
  });
});
