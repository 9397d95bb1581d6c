import { describe, expect, test } from 'vitest';
import { BurstTest } from '../../agent/replies/burst-test.js';
import { IcmpErrors } from '../../agent/replies/icmp-errors.js';
import type { Endpoint } from '../../shared/net/endpoint.js';
import { formatAddress, mappedWords } from '../../shared/net/ipv6.js';
import { prng } from '../support/prng.js';
import { errorTo, FLOW, FLOW_V6, probeOf, read } from '../support/replies.js';

const CHANCE = 1e-5;

/** Random places of `count` targets in a sending sequence of `length` targets, ascending. */
function atRandom(count: number, length: number, roll: () => number): number[] {
  return Array.from({ length: count }, () => roll() * length).sort((a, b) => a - b);
}

/**
 * Selects the probes that a token bucket answers with an error, from probes to closed ports (Linux: depth 6,
 * one token per second).
 * @param probes places in the sending sequence
 * @param perSecond probes per second of the sending sequence
 */
function throughBucket(probes: readonly number[], perSecond: number, depth = 6): number[] {
  let tokens = depth;
  let before = 0;
  return probes.filter((place) => {
    tokens = Math.min(depth, tokens + (place - before) / perSecond);
    before = place;
    if (tokens < 1) return false;
    tokens--;
    return true;
  });
}

/** True if the test, repeated from time to time and at the end, finds a limit. */
function isLimited(places: readonly number[], to: number): boolean {
  const burstTest = new BurstTest(0);
  let testedAt = 0;
  for (const place of places) {
    const isDue = place > testedAt * 1.05;
    if (isDue && burstTest.chance(place) < CHANCE) return true;
    if (isDue) testedAt = place;
    burstTest.add(Math.floor(place));
  }
  return burstTest.chance(to) < CHANCE;
}

describe('the test for bursts', () => {
  test('finds no limit in errors that come at random, however many there are', () => {
    const roll = prng(11);
    for (const count of [1, 2, 3, 6, 12, 20, 40, 60, 300]) {
      let found = 0;
      for (let i = 0; i < 2000; i++) {
        if (isLimited(atRandom(count, 1e6, roll), 1e6)) found++;
      }
      expect(found, `${count} errors`).toBeLessThanOrEqual(3);
    }
  });

  test.each([
    // [closed ports of the host, targets in all, probes per second]
    [1000, 1000, 1000],
    [100, 100, 100],
    [65_535, 65_535, 1000],
    [1000, 100_000, 10_000],
    [300, 3000, 30],
    [200, 20_000, 200],
    [1000, 1_000_000, 3000],
  ])(
    'finds the limit of a host with %i closed ports of %i targets at %i probes/s',
    (closed, all, rate) => {
      const roll = prng(closed + all);
      const probes =
        closed === all ? Array.from({ length: all }, (_, i) => i) : atRandom(closed, all, roll);
      expect(isLimited(throughBucket(probes, rate), all)).toBe(true);
    },
  );

  test('finds bursts that come again each second, as BSD sends them', () => {
    const errors = Array.from({ length: 60_000 }, (_, i) => i).filter((i) => i % 1000 < 200);
    expect(isLimited(errors, 60_000)).toBe(true);
  });

  test('finds no limit if senders that take turns by stripes of targets are not equally fast', () => {
    const roll = prng(8);
    for (const senders of [2, 3, 5]) {
      const errors = Array.from({ length: 20_000 }, (_, i) => i).filter(() => roll() < 0.3);
      const timeOf = (place: number) => {
        const stripe = Math.floor(place / 512);
        const speed = 1 + (stripe % senders) / 50;
        return (Math.floor(stripe / senders) * 512 + (place % 512)) * speed;
      };
      const burstTest = new BurstTest(0);
      const inTime = errors.toSorted((a, b) => timeOf(a) - timeOf(b));
      for (const [n, place] of inTime.entries()) {
        burstTest.add(place);
        if (n % 100 > 0) continue;
        const now = timeOf(place);
        let read = 0; // all stripes before it have been sent, and some time has passed
        while (read < 20_000 && timeOf(read + 511) < now - 200) read += 512;
        expect(burstTest.chance(read), `${senders} senders`).toBeGreaterThan(CHANCE);
      }
      expect(burstTest.chance(20_000)).toBeGreaterThan(CHANCE);
    }
  });

  test('finds no limit if a host is surveyed alone and answers all probes, or a random share of them', () => {
    const roll = prng(5);
    for (const share of [1, 0.99, 0.9, 0.5, 0.1]) {
      const errors = Array.from({ length: 20_000 }, (_, i) => i).filter(() => roll() < share);
      expect(isLimited(errors, 20_000), `${share}`).toBe(false);
    }
  });
});

const errorOf = (address: number, router: number, code: number, port = 443) =>
  read(errorTo(probeOf({ ...FLOW, address: mappedWords(address), port }), { router, code }));

const errorsOver = (end: number, onProhibited: (address: Endpoint) => void = () => {}) =>
  new IcmpErrors({ end, onCut: () => {} }, onProhibited);

describe('the ICMP errors of a survey', () => {
  const HOST = 0xc6120505;

  test('show a host that limits the rate of its errors only once, and do not show its network', () => {
    const errors = errorsOver(1000);
    for (let i = 0; i < 6; i++) errors.onError(errorOf(HOST, HOST, 3, 1000 + i), i);
    errors.settle(1000);
    expect(errors.take(10, 0)).toEqual({ icmpLimited: ['198.18.5.5'], slowedNetworks: [] });
    expect(errors.take(10, 5000)).toEqual({ icmpLimited: [], slowedNetworks: [] });
  });

  test('show a network whose hosts are limited together', () => {
    const errors = errorsOver(256);
    for (let i = 0; i < 8; i++) errors.onError(errorOf(HOST + i, HOST + i, 3), i);
    errors.settle(256);
    expect(errors.take(10, 0).icmpLimited).toEqual(['198.18.5.0/24']);
  });

  test('show no limit on hosts that have several closed ports each, in whatever order these are probed', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const roll = prng(seed);
      const places = Array.from({ length: 640 }, (_, i) => ({ i, key: roll() }));
      places.sort((a, b) => a.key - b.key);
      const errors = errorsOver(640);
      for (const [place, { i }] of places.entries()) {
        const [host, port] = [HOST + (i % 16), 30_000 + Math.floor(i / 16)];
        const probe = probeOf({ ...FLOW, address: mappedWords(host), port });
        errors.onError(read(errorTo(probe, { router: host, code: 3 })), place);
        if (place % 50 === 0) errors.settle(place);
        if (place % 50 === 0) expect(errors.take(10, place * 20).icmpLimited).toEqual([]);
      }
      errors.settle(640);
      expect(errors.take(10, 1e6).icmpLimited).toEqual([]);
    }
  });

  test('do not show a host before its other targets could have answered', () => {
    const errors = errorsOver(1000);
    for (let i = 0; i < 6; i++) errors.onError(errorOf(HOST, HOST, 3, 1000 + i), i * 2);
    errors.settle(12);
    expect(errors.take(10, 0).icmpLimited).toEqual([]);
  });

  test.each([9, 10, 13])(
    'of code %i slow down the probing of the target’s network, not of the network of the router that sent them',
    (code) => {
      const slowed: string[] = [];
      const errors = errorsOver(1000, (address) => slowed.push(formatAddress(address)));
      const router = 0xc6130001;
      errors.onError(errorOf(HOST, router, code), 0);
      errors.onError(errorOf(HOST + 1, router, code), 1);
      expect(errors.take(10, 0).slowedNetworks).toEqual(['198.18.5.0/24']);
      expect(slowed).toEqual(['198.18.5.5']);
    },
  );

  test('of ICMPv6 slow a /48 only if they report administrative prohibition', () => {
    const slowed: string[] = [];
    const errors = errorsOver(1000, (address) => slowed.push(formatAddress(address)));
    errors.onError(read(errorTo(probeOf(FLOW_V6), { code: 4 })), 0);
    expect(slowed).toEqual([]);
    errors.onError(read(errorTo(probeOf(FLOW_V6), { code: 1 })), 1);
    expect(errors.take(10, 0).slowedNetworks).toContain('2001:db8:42::/48');
  });

  test.each([0, 1, 2, 3, 4, 11, 12])('of code %i slow nothing', (code) => {
    const slowed: unknown[] = [];
    const errors = errorsOver(1000, (address) => slowed.push(address));
    errors.onError(errorOf(HOST, HOST, code || 15), 0);
    expect(slowed).toEqual([]);
  });

  test('are tested from the start, without the earlier ones, once the set of probed targets changes', () => {
    const errors = errorsOver(2000);
    for (let i = 0; i < 5; i++) errors.onError(errorOf(HOST, HOST, 3, 1000 + i), i * 200);
    errors.forgetAll(); // the host is excluded, so the rest of its targets is not probed
    errors.settle(2000);
    expect(errors.take(10, 0).icmpLimited).toEqual([]);
  });

  test('are reported in portions, and none is lost', () => {
    const errors = errorsOver(1000);
    for (let i = 0; i < 300; i++) errors.onError(errorOf(HOST + 256 * i, HOST + 256 * i, 13), i);
    const found: string[] = [];
    for (let now = 0; found.length < 300; now++)
      found.push(...errors.take(128, now).slowedNetworks);
    expect(new Set(found).size).toBe(300);
  });
});
