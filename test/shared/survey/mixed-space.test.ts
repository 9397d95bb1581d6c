import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TargetIndex } from '../../../shared/base/brand.js';
import { Target } from '../../../shared/net/endpoint.js';
import { formatAddress } from '../../../shared/net/ipv6.js';
import { type ProbePort, parsePorts, probePort } from '../../../shared/net/ports.js';
import { HitlistReader, parseAddress } from '../../../shared/survey/lists/hitlist.js';
import { PAIR_WORDS, PairListReader } from '../../../shared/survey/lists/pair-list.js';
import { parseBlock, RuleListReader } from '../../../shared/survey/lists/rule-list.js';
import { parseTarget } from '../../../shared/survey/lists/target-list.js';
import { parseLookup } from '../../../shared/survey/lookup-target.js';
import { Plan } from '../../../shared/survey/plan.js';
import { rulesToBytes } from '../../../shared/survey/policy/block-rules.js';
import { reasonLeftOut, rulesFromBytes } from '../../../shared/survey/policy/rule-lookup.js';
import {
  publicTargetIn,
  specialTargetIn,
} from '../../../shared/survey/policy/special-purpose-policy.js';
import { AddressList } from '../../../shared/survey/space/address-list.js';
import { type Composition, compose } from '../../../shared/survey/space/compose.js';
import type { Space } from '../../../shared/survey/space/space.js';
import {
  hashSpace,
  spaceFromBytes,
  spaceToBytes,
} from '../../../shared/survey/space/space-bytes.js';
import { hitlistOf, NO_LISTS, pairsOf, readAll, targetListOf } from '../../support/lists.js';

interface Said {
  targets?: string[];
  exclude?: string[];
  allow?: string[];
  hitlist?: string;
  pairs?: string;
  ports?: string;
}

function composing({ targets = [], exclude = [], allow = [], ...lists }: Said): Composition {
  return compose({
    targets: targets.map((text) => parseTarget(text, 'TARGETS')),
    exclusions: exclude.map((text) => parseBlock(text, '--exclude')),
    allowSpecial: allow.map((text) => parseBlock(text, '--allow-special')),
    hitlists: [hitlistOf(lists.hitlist ?? '')],
    pairs: [pairsOf(lists.pairs ?? '')],
    ports: lists.ports === '' ? [] : (parsePorts(lists.ports ?? '80,443') as ProbePort[]),
  });
}

function targetsIn(space: Space): string[] {
  const target = new Target();
  return Array.from({ length: space.size }, (_, index) => {
    space.at(index as TargetIndex, target);
    expect(space.indexOf(target)).toBe(index);
    return `${formatAddress(target)} ${target.port}`;
  });
}

const LISTS: Said = {
  targets: ['9.9.9.0/29', '2600:1::/62-64', '2600:2::7', '8.8.8.8'],
  exclude: ['9.9.9.2', '2600:1:0:2::/64', '2600:5::/32'],
  hitlist: '2600:3::1\n9.9.9.3\n2600:1:0:1::1\n# no\nnonsense\n2600:5::1\n2600:3::1\n1.1.1.1\n',
  pairs: '9.9.9.3:443\n9.9.9.3:22\n[2600:4::1]:22\n9.9.9.2:22\n1.1.1.1,8443\n2600:3::1,80\n',
};

describe('a space of both families, lists and pairs', () => {
  test('contains each target once, whatever list it came from, and no excluded one', () => {
    const all = targetsIn(composing(LISTS).space);
    const addresses = [
      ...['8.8.8.8', ...[0, 1, 3, 4, 5, 6, 7].map((i) => `9.9.9.${i}`)],
      ...['2600:1::1', '2600:1:0:1::1', '2600:1:0:3::1'],
      ...['1.1.1.1', '2600:2::7', '2600:3::1'],
    ];
    const expected = addresses.flatMap((address) => [`${address} 80`, `${address} 443`]);
    const pairs = ['9.9.9.3 22', '2600:4::1 22', '1.1.1.1 8443'];
    expect(new Set(all).size).toBe(all.length);
    expect([...all].sort()).toEqual([...expected, ...pairs].sort());
  });

  test.each([
    [
      'twice',
      [
        [
          [80, 80],
          [80, 80],
        ],
      ],
    ],
    [
      'unsorted',
      [
        [
          [443, 443],
          [80, 80],
        ],
      ],
    ],
    [
      'overlapping',
      [
        [
          [1, 65535],
          [2, 3],
        ],
      ],
    ],
    ['of 4 billion entries', Array.from({ length: 60 }, () => Array(1000).fill([1, 65535]))],
    ['of too many probes', Array.from({ length: 65 }, () => [[1, 1]])],
    ['above 65535', [[[1, 65536]]]],
  ])('is rejected as bytes with ports %s, before they are expanded', (_name, ports) => {
    const bytes = spaceToBytes(composing({ targets: ['9.9.9.9'] }).space, '7');
    const view = new DataView(bytes.buffer);
    const octets = view.getUint32(4, true);
    const head = JSON.parse(Buffer.from(bytes.subarray(8, 8 + octets)).toString());
    const text = JSON.stringify({ ...head, ports });
    const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
    const hostile = Buffer.concat([bytes.subarray(0, 8), json, bytes.subarray(8 + octets)]);
    hostile.writeUInt32LE(json.length, 4);
    expect(() => spaceFromBytes(hostile)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }));
  });

  test('is looked up by address, or address and port, in all probes and among pairs', () => {
    const probed = (probe: number) => (port: number) => probePort(probe, port);
    const column = pairsOf('9.9.9.7:53', '9.9.9.8:123', '[2600:4::1]:22');
    for (let at = PAIR_WORDS - 1; at < column.words.length; at += PAIR_WORDS) {
      column.words[at] = probed(2)(column.words[at] as number);
    }
    const pairs = [column];
    const { space } = compose({
      ...{ ...NO_LISTS, targets: [parseTarget('9.9.9.0/29', '')], pairs },
      ports: [probed(0)(53), probed(0)(80), probed(1)(53)],
    });
    const found = (text: string) =>
      parseLookup(text, space.parts).map((target) => {
        const state = space.indexOf(target) < 0 ? ' unplanned' : '';
        return `${target.probe}:${target.port}${state}`;
      });
    expect(found('9.9.9.1')).toEqual(['0:53', '0:80', '1:53']);
    expect(found('9.9.9.1:53')).toEqual(['0:53', '1:53']);
    expect(found('9.9.9.7:53')).toEqual(['0:53', '1:53', '2:53']);
    expect(found('9.9.9.8:123')).toEqual(['2:123']);
    expect(found('[2600:4::1]:22')).toEqual(['2:22']);
    expect(found('9.9.9.1:99')).toEqual(['0:99 unplanned']);
    for (const text of ['9.9.9.1:65536', '9.9.9.1:99999', '9.9.9.1:0']) {
      expect(() => found(text)).toThrow(/not an address and a port/);
    }
    const alone = compose({
      ...{ ...NO_LISTS, pairs, ports: [] },
    }).space;
    expect(parseLookup('9.9.9.7', alone.parts)).toHaveLength(1);
    expect(parseLookup('9.9.9.9', alone.parts)).toHaveLength(1);
  });

  test('is the same when it is read from its bytes, and has the same hash', () => {
    const { space } = composing({
      ...LISTS,
      targets: [...(LISTS.targets ?? []), '2600:7::/60-64@low:3'],
    });
    const bytes = spaceToBytes(space, '7');
    const back = spaceFromBytes(bytes);
    expect(targetsIn(back)).toEqual(targetsIn(space));
    expect(hashSpace(spaceToBytes(back, '7'))).toBe(hashSpace(bytes));
  });

  test('causes no error other than BAD_MESSAGE when it is read from damaged bytes', () => {
    const bytes = spaceToBytes(composing(LISTS).space, '7');
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: bytes.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const bad = bytes.slice();
          bad[at] = (bad[at] as number) ^ change;
          try {
            spaceFromBytes(bad);
          } catch (error) {
            expect((error as { code?: string }).code).toBe('BAD_MESSAGE');
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('counts requested targets by source and removed ones by reason', () => {
    const { sources, exclusions } = composing({
      targets: ['0.0.0.0/0', '2001::/16-32'],
      exclude: ['9.0.0.0/8'],
    });
    expect(sources).toEqual([{ reason: 'TARGETS', addresses: 2 ** 32 + 2 ** 16 }]);
    const by = Object.fromEntries(exclusions.map(({ reason, addresses }) => [reason, addresses]));
    expect(by['10.0.0.0/8 Private use (RFC 1918)']).toBe(2 ** 24);
    expect(by['2001::/23 IETF protocol assignments (RFC 2928)']).toBe(512);
    expect(by['2001:db8::/32 Documentation (RFC 3849)']).toBe(1);
    expect(by['--exclude']).toBe(2 ** 24);
  });

  test('refuses windows of which one lies within the other', () => {
    expect(() => composing({ targets: ['2600::/32-48', '2600:0:1::/48-64'] })).toThrow(
      expect.objectContaining({
        code: 'BAD_OPTION',
        details: expect.objectContaining({ flag: 'TARGETS' }),
      }),
    );
  });

  test('names file and line of a window that lies in another one', () => {
    const targets = [targetListOf('2600::/32-48\n\n2600:0:1::/48-64\n', 'list.txt')];
    expect(() => compose({ ...NO_LISTS, ports: [], targets })).toThrow(
      expect.objectContaining({
        code: 'BAD_LIST',
        details: expect.objectContaining({ file: 'list.txt', line: 3, value: '2600:0:1::/48-64' }),
      }),
    );
  });

  test('contains each address of overlapping prefixes once, in whatever order they are given', () => {
    const prefixes = [
      '2600::/112',
      '2600::/120',
      '2600::4:0/112',
      '2600::80/121',
      '2600::/122-126@::1',
    ];
    for (const targets of [prefixes, prefixes.toReversed()]) {
      const { space } = composing({ targets });
      expect(space.size).toBe(2 * 2 * 2 ** 16); // two ports
    }
  });

  test('never has IPv4-mapped addresses from a window, and IPv4-mapped rules exclude IPv4 addresses', () => {
    const { space } = composing({
      targets: ['::fffe:0:0/95'],
      allow: ['::/0', '0.0.0.0/0'],
    });
    expect(space.addresses).toBe(2 ** 32);
    const target = new Target();
    for (const index of [0, space.size / 2, space.size - 1]) {
      space.at(index as TargetIndex, target);
      expect(target.isIpv4).toBe(false);
    }
    const hitlist = '1.1.1.1\n1.1.1.2\n1.1.2.1\n';
    const exclude = ['::ffff:1.1.1.1', '::ffff:101:200/120'];
    expect(targetsIn(composing({ hitlist, exclude, ports: '80' }).space)).toEqual(['1.1.1.2 80']);
    const list = readAll(new RuleListReader('list'), '::ffff:101:101\n::FFFF:1.1.2.0/120\n').list;
    expect(list.texts).toEqual(['1.1.1.1', '1.1.2.0/24']);
  });

  test('counts an excluded address once, although it is in a prefix and in a hitlist', () => {
    const { exclusions } = composing({
      targets: ['2600::/120'],
      hitlist: '2600::5\n',
      exclude: ['2600::5'],
    });
    expect(exclusions).toEqual([{ reason: '--exclude', addresses: 1 }]);
  });

  test('of pairs alone needs no ports', () => {
    const { space } = composing({ pairs: '9.9.9.9:53\n9.9.9.9:80\n', ports: '' });
    expect(targetsIn(space)).toEqual(['9.9.9.9 53', '9.9.9.9 80']);
  });

  test('knows which of its addresses are special-purpose and which are public', () => {
    const { space } = composing({
      targets: ['2001:db8::/60-64', '10.0.0.0/30'],
      allow: ['2001:db8::/32', '10.0.0.0/8'],
    });
    expect(publicTargetIn(space)).toBeUndefined();
    expect(specialTargetIn(space, ['2001:db8::/32', '10.0.0.0/8'])).toBeUndefined();
    expect(specialTargetIn(space, ['10.0.0.0/8'])).toBe('2001:db8::1');
    expect(specialTargetIn(space, ['2001:db8::/32'])).toBe('10.0.0.0/30');
    expect(publicTargetIn(composing({ targets: ['2600::/60-64'] }).space)).toBe('2600::1');
  });

  test('can name the rule by which a target was removed', () => {
    const exclusions = [
      parseBlock('9.9.0.0/16', '--exclude'),
      parseBlock('2600:5::/32', '--exclude'),
    ];
    const rules = rulesFromBytes(rulesToBytes(exclusions, ['198.18.0.0/15']));
    expect(reasonLeftOut(parseAddress('9.9.1.1'), rules)).toBe(
      'excluded by 9.9.0.0/16 (--exclude)',
    );
    expect(reasonLeftOut(parseAddress('2600:5::1'), rules)).toBe(
      'excluded by 2600:5::/32 (--exclude)',
    );
    expect(reasonLeftOut(parseAddress('fe80::1'), rules)).toMatch(/fe80::\/10 is Link-local/);
    expect(reasonLeftOut(parseAddress('198.18.0.1'), rules)).toBe('not among the targets');
  });
});

describe('tolerant lists', () => {
  const hitlistReader = (text: string) => readAll(new HitlistReader('list'), text);
  const pairReader = (text: string) => readAll(new PairListReader('list'), text);

  test('report lines that cannot be read', () => {
    const { badLines, badCount } = hitlistReader('::1\nbad\n\n1.2.3.4 # ok\n1.2.3\n');
    expect([badLines, badCount]).toEqual([[2, 5], 2]);
    expect(pairReader('1.2.3.4:0\n1.2.3.4:80\n[::1]:70000\n::1\n').badLines).toEqual([1, 3, 4]);
    expect(hitlistReader('x\n'.repeat(9))).toMatchObject({
      badCount: 9,
      badLines: [1, 2, 3, 4, 5],
    });
  });

  test.each([
    ['2001:db8::1:443', undefined],
    ['2001:db8::1', undefined],
    ['[2001:db8::1]:443', '2001:db8::1 443'],
    ['[2001:db8::1],443', '2001:db8::1 443'],
    ['2001:db8::1:443,80', '2001:db8::1:443 80'],
    ['192.0.2.1:80', '192.0.2.1 80'],
    ['192.0.2.1,80', '192.0.2.1 80'],
    ['192.0.2.1:0', undefined],
    ['192.0.2.1:65536', undefined],
  ])('read the pair %s as %s', (line, expected) => {
    const { list, badLines } = pairReader(line);
    const pairs = AddressList.ofRecords(list.words, PAIR_WORDS);
    const read = [...pairs].map((target) => `${formatAddress(target)} ${target.port}`);
    expect(read).toEqual(expected === undefined ? [] : [expected]);
    expect(badLines).toEqual(expected === undefined ? [1] : []);
  });

  test('never throw, whatever they contain', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(hitlistReader(text).list.size).toBeLessThanOrEqual(text.length);
        expect(pairReader(text).list.size).toBeLessThanOrEqual(text.length);
      }),
    );
  });
});

describe('any shard length, any workers, any schedule', () => {
  test('cover the space once, wherever shards are leased, interrupted and resumed', () => {
    const schedule = fc.record({
      seed: fc.string(),
      shardLength: fc.integer({ min: 1, max: 40 }),
      steps: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 30 })), { maxLength: 300 }),
    });
    const { space } = composing(LISTS);
    fc.assert(
      fc.property(schedule, ({ seed, shardLength, steps }) => {
        const plan = new Plan(space, seed, shardLength);
        const next = Array.from(
          { length: plan.shardCount },
          (_, n) => plan.shard(n).from as number,
        );
        const seen = new Set<number>();
        const advance = (shard: number, by: number) => {
          const end = Math.min(plan.shard(shard).to, (next[shard] as number) + by);
          for (let position = next[shard] as number; position < end; position++) {
            const index = space.indexOf(plan.targetAt(position));
            expect(seen.has(index)).toBe(false);
            seen.add(index);
          }
          next[shard] = Math.max(next[shard] as number, end);
        };
        for (const [shard, by] of steps) advance(shard % plan.shardCount, by);
        for (let shard = 0; shard < plan.shardCount; shard++) advance(shard, shardLength);
        expect(seen.size).toBe(space.size);
      }),
      { numRuns: 100 },
    );
  });
});
