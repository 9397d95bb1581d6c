import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProbingOrder } from '../../agent/lease/probing-order.js';
import { BurstTest } from '../../agent/replies/burst-test.js';
import { prng } from '../support/prng.js';

describe('the order of probing', () => {
  test('has a place for each position that was sent, whichever shards are given up meanwhile', () => {
    const shards = fc.array(
      fc.record({ length: fc.integer({ min: 1, max: 50 }), sent: fc.integer({ min: 0, max: 50 }) }),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(shards, fc.infiniteStream(fc.nat()), (given, draws) => {
        const order = new ProbingOrder();
        const open = given.map(({ length, sent }) => ({
          stretch: order.open(length),
          sent: Math.min(length, sent),
        }));
        const left = [...open];
        while (left.length > 0) {
          const [next] = left.splice((draws.next().value as number) % left.length, 1);
          if (next !== undefined) order.close(next.stretch, next.sent);
        }
        let first = 0;
        for (const { stretch, sent } of open) {
          if (sent > 0) expect(stretch.first).toBe(first);
          first += sent;
        }
        expect(order.end).toBe(first);
      }),
    );
  });

  test('moves the places that a burst test has counted down if places before them are given up', () => {
    const order = new ProbingOrder();
    const burstTest = new BurstTest(0);
    order.onCut = (from, places) => burstTest.cut(from, places);
    const [first, second, third] = [order.open(100), order.open(1000), order.open(100)];
    const roll = prng(3);
    for (const { first: place } of [first, third]) {
      for (let i = 0; i < 100; i++) if (roll() < 0.2) burstTest.add(place + i);
    }
    expect(burstTest.chance(order.end)).toBeLessThan(1e-9);
    order.close(second, 0);
    expect([third.first, order.end]).toEqual([100, 200]);
    expect(burstTest.chance(order.end)).toBeGreaterThan(1e-4);
  });
});
