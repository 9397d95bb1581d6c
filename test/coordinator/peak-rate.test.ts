import fc from 'fast-check';
import { expect, test } from 'vitest';
import { peaks, unlistedPer64 } from '../../coordinator/plan/peak-rate.js';
import type { TargetIndex } from '../../shared/base/brand.js';
import { Target } from '../../shared/net/endpoint.js';
import { type ProbePort, parsePorts } from '../../shared/net/ports.js';
import { parseBlock } from '../../shared/survey/lists/rule-list.js';
import { parseTarget } from '../../shared/survey/lists/target-list.js';
import { AddressList } from '../../shared/survey/space/address-list.js';
import { AliasTests } from '../../shared/survey/space/alias-tests.js';
import { compose } from '../../shared/survey/space/compose.js';
import type { Space } from '../../shared/survey/space/space.js';
import { hitlistOf, pairsOf } from '../support/lists.js';

interface Lists {
  readonly targets: readonly string[];
  readonly hitlist: readonly string[];
  readonly pairs: readonly string[];
  readonly ports: string;
}

function spaceOf({ targets, hitlist, pairs, ports }: Lists): Space {
  return compose({
    targets: targets.map((text) => parseTarget(text, 'TARGETS')),
    exclusions: [],
    allowSpecial: [parseBlock('2001:db8::/32', '')],
    hitlists: [hitlistOf(...hitlist)],
    pairs: [pairsOf(...pairs)],
    ports: (ports === '' ? [] : parsePorts(ports)) as ProbePort[],
  }).space;
}

/** The fraction of all targets that lies in the busiest network, found by counting them one by one. */
function shareOf(space: Space, networkOf: (target: Target) => string | undefined): number {
  const counts = new Map<string, number>();
  const target = new Target();
  for (let index = 0; index < space.size; index++) {
    space.at(index as TargetIndex, target);
    const network = networkOf(target);
    if (network !== undefined) counts.set(network, (counts.get(network) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values()) / space.size;
}

const ipv4 =
  (bits: number) =>
  ({ isIpv4, w3 }: Target) =>
    isIpv4 ? `${Math.floor(w3 / 2 ** (32 - bits))}` : undefined;
const ipv6 =
  (bits: number) =>
  ({ isIpv4, w0, w1 }: Target) =>
    isIpv4 ? undefined : `${w0}.${w1 >>> (64 - bits)}`;

const host = fc.nat({ max: 3 });
const address6 = fc
  .tuple(host, host, host)
  .map(([site, subnet, id]) => `2600:1:${site}:${subnet}::${id + 1}`);
const address4 = fc.tuple(host, host).map(([network, id]) => `9.9.${network}.${id + 1}`);
const address = fc.oneof(address4, address6);
const written = (text: string, port: number) =>
  text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`;

test('the peak for each network size equals the one found by counting all targets one by one', () => {
  const lists = fc.record({
    targets: fc.uniqueArray(
      fc.constantFrom(
        ...[
          '9.9.1.0/28',
          '9.9.0.254-9.9.2.1',
          '9.8.255.0/30',
          '2600:1::/47-48',
          '2600:1:2::/62-64',
        ],
        ...['2600:1:3::/64-64@low:3', '2600:1:3:1::/126'],
      ),
      { maxLength: 4 },
    ),
    hitlist: fc.array(address, { minLength: 1, maxLength: 20 }),
    pairs: fc.array(
      fc.tuple(address, fc.constantFrom(80, 7, 9)).map(([text, port]) => written(text, port)),
      { maxLength: 20 },
    ),
    ports: fc.constantFrom('80', '80,443', '1-5'),
  });
  fc.assert(
    fc.property(lists, (given) => {
      const space = spaceOf(given);
      const peak = peaks(space, 1000);
      expect(peak.per24).toBeCloseTo(shareOf(space, ipv4(24)) * 1000, 6);
      expect(peak.per16).toBeCloseTo(shareOf(space, ipv4(16)) * 1000, 6);
      const exact48 = shareOf(space, ipv6(48)) * 1000;
      const exact64 = shareOf(space, ipv6(64)) * 1000;
      // A window over several networks is counted with its average per network, which is exact here.
      expect(peak.per48).toBeCloseTo(exact48, 6);
      expect(peak.per64).toBeCloseTo(exact64, 6);
    }),
  );
});

test('pairs alone and hitlists alone have peaks', () => {
  const pairs = spaceOf({ targets: [], hitlist: [], pairs: ['[2600:1::1]:80'], ports: '' });
  expect(peaks(pairs, 100)).toMatchObject({ per24: 0, per48: 100, per64: 100 });
  const hitlist = spaceOf({
    ...{ targets: [], hitlist: ['2600:1::1', '2600:1:0:1::1'], pairs: [], ports: '80,443' },
  });
  expect(peaks(hitlist, 100)).toMatchObject({ per48: 100, per64: 50 });
});

test('a window over many /64 networks has the peak of a single one as its peak per /64', () => {
  const space = spaceOf({ targets: ['2600:1::/56-64@low:4'], hitlist: [], pairs: [], ports: '80' });
  expect(peaks(space, 1024)).toMatchObject({ per48: 1024, per64: 4 });
});

test('only addresses of public windows count as unlisted', () => {
  const none = { hitlist: AddressList.none, pairs: AddressList.none };
  const of = (targets: string[], hitlist: string[] = []) =>
    unlistedPer64(spaceOf({ targets, hitlist, pairs: [], ports: '80,443' }), none, 1000);
  expect(of(['2600:1::/112'])).toBeCloseTo(1000, 6);
  expect(of(['2600:1::/112', '9.9.0.0/16'])).toBeCloseTo(500, 6);
  expect(of(['2600:1::/56-64@::1'])).toBeCloseTo(1000 / 256, 6);
  expect(of(['9.9.0.0/16'], ['2600:1::1', '2600:1::2'])).toBe(0);
  expect(of(['2001:db8::/112'])).toBe(0);
  const addresses = AddressList.ofRecords(hitlistOf('2600:1::1', '2600:1::1:0').ipv6.words, 4);
  const hitlist = new AliasTests('7', [112]).around(addresses, []);
  const listed = spaceOf({ targets: ['9.9.0.0/28'], hitlist: [], pairs: [], ports: '80' });
  expect(unlistedPer64(listed, { ...none, hitlist }, 100)).toBeCloseTo((100 * 32) / 16, 6);
});
