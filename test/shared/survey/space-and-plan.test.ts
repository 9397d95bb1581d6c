import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TargetIndex } from '../../../shared/base/brand.js';
import { Target } from '../../../shared/net/endpoint.js';
import type { ProbePort } from '../../../shared/net/ports.js';
import { Ranges } from '../../../shared/net/ranges.js';
import { Plan, shardLengthFor } from '../../../shared/survey/plan.js';
import { Space } from '../../../shared/survey/space/space.js';
import {
  hashSpace,
  spaceFromBytes,
  spaceToBytes,
} from '../../../shared/survey/space/space-bytes.js';

const anyRanges = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 20 })), {
    minLength: 1,
    maxLength: 10,
  })
  .map((list) => Ranges.of(list.map(([from, length]) => ({ from, to: from + length }))));
const anyPorts = fc
  .uniqueArray(fc.integer({ min: 1, max: 65535 }), { minLength: 1, maxLength: 5 })
  .map((ports) => ports.sort((a, b) => a - b) as ProbePort[]);

const spaceOf = (size: number) =>
  Space.ofIpv4(Ranges.of([{ from: 1000, to: 1000 + size }]), [80] as ProbePort[]);

describe('a space', () => {
  test('has each target at one index, and inverts every index', () => {
    fc.assert(
      fc.property(anyRanges, anyPorts, (ranges, ports) => {
        const space = Space.ofIpv4(ranges, ports);
        const target = new Target();
        const seen = new Set<string>();
        for (let index = 0; index < space.size; index++) {
          space.at(index as TargetIndex, target);
          expect(ranges.contains(target.w3)).toBe(true);
          expect(ports).toContain(target.port);
          seen.add(`${target.w3}:${target.port}`);
          expect(space.indexOf(target)).toBe(index);
        }
        expect(seen.size).toBe(ranges.size * ports.length);
      }),
    );
  });

  test('contains nothing that was not in its lists', () => {
    const space = Space.ofIpv4(Ranges.of([{ from: 10, to: 20 }]), [80, 443] as ProbePort[]);
    for (const [address, port] of [
      [9, 80],
      [20, 80],
      [10, 81],
      [15, 0],
      [0xffffffff, 443],
    ] as const) {
      expect(space.indexOf(Target.ipv4(address, port))).toBe(-1);
    }
  });

  test('of all of IPv4 and all ports has 2^48 − 2^32 targets, of which the last can be addressed', () => {
    const ports = Array.from({ length: 65535 }, (_, i) => i + 1) as ProbePort[];
    const space = Space.ofIpv4(Ranges.of([{ from: 0, to: 2 ** 32 }]), ports);
    expect(space.size).toBe(2 ** 48 - 2 ** 32);
    const target = new Target();
    space.at((space.size - 1) as TargetIndex, target);
    expect(target).toEqual(Target.ipv4(0xffffffff, 65535));
    expect(space.indexOf(target)).toBe(space.size - 1);
  });

  test('is identified by its bytes, and is the same when it is read from them', () => {
    fc.assert(
      fc.property(anyRanges, anyPorts, (ranges, ports) => {
        const bytes = spaceToBytes(Space.ofIpv4(ranges, ports), '7');
        const back = spaceFromBytes(bytes);
        expect([...back.parts.ipv4]).toEqual([...ranges]);
        expect(back.parts.ports).toEqual(ports);
        expect(hashSpace(spaceToBytes(back, '7'))).toBe(hashSpace(bytes));
      }),
    );
  });

  test('is read from arbitrary bytes only if they are valid; all others cause a fault', () => {
    const good = spaceToBytes(
      Space.ofIpv4(Ranges.of([{ from: 1, to: 9 }]), [80] as ProbePort[]),
      '7',
    );
    const isFault = (bytes: Uint8Array) => {
      try {
        spaceFromBytes(bytes);
        return true; // these bytes happen to be a space
      } catch (error) {
        return (error as { code?: string }).code !== undefined;
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(isFault(bytes)).toBe(true);
      }),
    );
    for (let cut = 0; cut < good.length; cut++) {
      expect(() => spaceFromBytes(good.subarray(0, cut))).toThrow(
        expect.objectContaining({ code: 'BAD_MESSAGE' }),
      );
    }
  });

  test('without any targets is refused', () => {
    expect(() => Space.ofIpv4(Ranges.none, [80] as ProbePort[])).toThrow(
      expect.objectContaining({ code: 'EMPTY_SPACE' }),
    );
  });
});

describe('a plan', () => {
  test('cuts the space into shards that cover every position once', () => {
    const length = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), length, (size, shardLength) => {
        const plan = new Plan(spaceOf(size), '7', shardLength);
        let next = 0;
        for (let number = 0; number < plan.shardCount; number++) {
          const { from, to } = plan.shard(number);
          expect(from).toBe(next);
          expect(to).toBeGreaterThan(from);
          next = to;
        }
        expect(next).toBe(size);
      }),
    );
  });

  test('finds the position of each of its targets', () => {
    const plan = new Plan(spaceOf(1000), '7', 64);
    for (let position = 0; position < plan.size; position++) {
      expect(plan.positionOf(plan.targetAt(position))).toBe(position);
    }
  });

  test('has a hash that changes with space, seed and shard length, and with nothing else', () => {
    const name = new Plan(spaceOf(1000), '7', 64).hash;
    expect(new Plan(spaceOf(1000), '7', 64).hash).toBe(name);
    expect(new Plan(spaceOf(1001), '7', 64).hash).not.toBe(name);
    expect(new Plan(spaceOf(1000), '8', 64).hash).not.toBe(name);
    expect(new Plan(spaceOf(1000), '7', 128).hash).not.toBe(name);
  });

  test('has shards whose length is a power of two within bounds, at any size and rate', () => {
    for (let bits = 0; bits <= 53; bits++) {
      for (const rate of [0.1, 10, 1000, 30_000, 1e6, 1e9]) {
        const length = shardLengthFor(2 ** bits, rate);
        expect(Number.isInteger(Math.log2(length))).toBe(true);
        expect(length).toBeGreaterThanOrEqual(256);
        expect(length).toBeLessThanOrEqual(2 ** 22);
        expect(2 ** bits / length).toBeLessThanOrEqual(2 ** 31); // shards are counted in 32 bits
        if (bits <= 40 && length > 512) expect(length).toBeLessThanOrEqual(16 * rate);
      }
    }
    expect(shardLengthFor(131_072, 1e6)).toBe(2048);
    expect(shardLengthFor(2 ** 32, 1e6)).toBe(2 ** 16);
    expect(shardLengthFor(2 ** 32, 1000)).toBe(2 ** 13);
  });
});
