import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SendingSequence } from '../../agent/lease/sending-sequence.js';
import { BurstTest } from '../../agent/replies/burst-test.js';
import { prng } from '../support/prng.js';

describe('the sending sequence', () => {
  test('has a place for each position that was sent, whichever shards are given up meanwhile', () => {
    const shards = fc.array(
      fc.record({ length: fc.integer({ min: 1, max: 50 }), sent: fc.integer({ min: 0, max: 50 }) }),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(shards, fc.infiniteStream(fc.nat()), (given, draws) => {
        const sequence = new SendingSequence();
        const open = given.map(({ length, sent }) => ({
          stretch: sequence.open(length),
          sent: Math.min(length, sent),
        }));
        const left = [...open];
        while (left.length > 0) {
          const [next] = left.splice((draws.next().value as number) % left.length, 1);
          if (next !== undefined) sequence.close(next.stretch, next.sent);
        }
        let first = 0;
        for (const { stretch, sent } of open) {
          if (sent > 0) expect(stretch.first).toBe(first);
          first += sent;
        }
        expect(sequence.end).toBe(first);
      }),
    );
  });

  test('lowers the places of the errors in a burst test when places before them are given up', () => {
    const sequence = new SendingSequence();
    const burstTest = new BurstTest(0);
    sequence.onCut = (from, places) => burstTest.cut(from, places);
    const [first, second, third] = [sequence.open(100), sequence.open(1000), sequence.open(100)];
    const roll = prng(3);
    for (const { first: place } of [first, third]) {
      for (let i = 0; i < 100; i++) if (roll() < 0.2) burstTest.add(place + i);
    }
    expect(burstTest.chance(sequence.end)).toBeLessThan(1e-9);
    sequence.close(second, 0);
    expect([third.first, sequence.end]).toEqual([100, 200]);
    expect(burstTest.chance(sequence.end)).toBeGreaterThan(1e-4);
  });
});
