import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pacer } from '../../agent/send/pacer.js';
import { prng } from '../support/prng.js';

/**
 * Sends as many probes as the pacer allows, with wake-ups delayed by `lateness`; returns the time and the
 * size of each batch.
 */
function run(rate: number, millis: number, lateness: () => number) {
  const pacer = new Pacer(0);
  const batches: { at: number; probes: number }[] = [];
  for (let now = 0; now < millis; now += pacer.pause(rate) + lateness()) {
    const probes = pacer.allowance(now, rate);
    pacer.spend(probes);
    if (probes > 0) batches.push({ at: now, probes });
  }
  return batches;
}

/**
 * Numbers of probes in the fullest and in the emptiest window of `millis` milliseconds; the emptiest is
 * looked for after the first second only.
 */
function windows(batches: ReturnType<typeof run>, millis: number, end: number) {
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  let first = 0;
  let within = 0;
  for (const { at, probes } of batches) {
    within += probes;
    while ((batches[first] as { at: number }).at <= at - millis) {
      within -= (batches[first] as { probes: number }).probes;
      first++;
    }
    most = Math.max(most, within);
    if (at > 1000 + millis && at < end) least = Math.min(least, within);
  }
  return { most, least };
}

const END = 6000;
const rates = fc.double({ min: Math.log10(100), max: 7, noNaN: true }).map((power) => 10 ** power);
/** Delays of a thread that always wakes up a little late, and sometimes up to three milliseconds late. */
const sleeper = (random: () => number) => () => (random() < 0.05 ? random() * 3 : random() * 0.2);

describe('the pacer', () => {
  test('keeps within one per cent of the rate in every second, though it wakes up late', () => {
    fc.assert(
      fc.property(rates, fc.integer(), (rate, seed) => {
        const batches = run(rate, END, sleeper(prng(seed)));
        const { most, least } = windows(batches, 1000, END);
        expect(most).toBeLessThanOrEqual(rate * 1.01 + 1);
        // Allows one probe less at either end of a window, because windows need not start at a probe.
        expect(least).toBeGreaterThanOrEqual(rate * 0.99 - 2);
      }),
      { numRuns: 40 },
    );
  });

  test('never allows more than two milliseconds of budget at once', () => {
    fc.assert(
      fc.property(rates, (rate) => {
        const batches = run(rate, END, () => 7);
        for (const { probes } of batches) {
          expect(probes).toBeLessThanOrEqual(Math.max(1.5, rate * 0.002));
        }
        // The batches within any one millisecond together use at most 3.4 ms of budget.
        expect(windows(batches, 1, END).most).toBeLessThanOrEqual(Math.max(2, rate * 0.0034));
      }),
      { numRuns: 40 },
    );
  });

  test.each([0.1, 0.5, 1, 7, 40])('keeps a low rate of %d probes per second', (rate) => {
    const seconds = Math.max(20, 5 / rate);
    const batches = run(rate, seconds * 1000, () => 0.1);
    const sent = batches.reduce((sum, { probes }) => sum + probes, 0);
    expect(Math.abs(sent - rate * seconds)).toBeLessThanOrEqual(1.5);
  });

  test('does not make up for a pause', () => {
    for (const rate of [10, 1000, 1e6]) {
      const pacer = new Pacer(0);
      pacer.allowance(0, rate);
      let sent = 0;
      for (let now = 60_000; now < 60_100; now += 1) {
        const allowance = pacer.allowance(now, rate);
        pacer.spend(allowance);
        sent += allowance;
      }
      expect(sent).toBeLessThanOrEqual(rate * 0.108 + 2);
    }
  });

  test('sends nothing without a rate, and starts without credit afterwards', () => {
    const pacer = new Pacer(0);
    pacer.allowance(1000, 1e6);
    expect(pacer.allowance(1001, 0)).toBe(0);
    expect(pacer.allowance(1001, 1000)).toBe(0);
  });
});
