/** A coordinator and an agent that work on one survey after another: the resources that they hold do not grow. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { holdingsOf, seriesAt } from '../support/holdings.js';
import { LongLife } from '../support/long-life.js';
import { labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const PORT = 29_317;
/** Number of surveys before the first measurement, and of further ones before the second. */
const WARM = 12;
const MORE = 24;

/** The number of sockets mapped into memory: those of captures and of frame senders. */
function ringsOf(pid: number): number {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  return lines.filter((line) => line.includes('socket:')).length;
}

describe.skipIf(labIsMissing())('surveys, one after the other,', () => {
  test('leave no descriptor, thread or ring behind', {
    timeout: 240_000,
  }, async () => {
    await using life = await LongLife.start(ROOT, PORT);
    const { coordinator, agent } = life.programs;
    // The network I/O of the last survey is closed some time after its end.
    const isIdle = () => ringsOf(agent.child.pid as number) === 0;
    const heldLease = async () => {
      await expect.poll(isIdle, { timeout: 20_000, interval: 100 }).toBe(true);
      const series = await Promise.all(
        [coordinator, agent].map(({ metrics }) => seriesAt(metrics)),
      );
      return [coordinator, agent].map(({ child }, i) => ({
        ...holdingsOf(child.pid as number),
        rings: ringsOf(child.pid as number),
        series: series[i] as number,
      }));
    };
    for (let i = 0; i < WARM; i++) await life.survey('127.90.0.0/24', 20_000);
    const before = await heldLease();
    for (let i = 0; i < MORE; i++) {
      expect(await life.survey('127.90.0.0/24', 20_000)).toMatchObject({
        state: 'done',
        targetsCovered: 256,
      });
    }
    const after = await heldLease();
    for (const [i, now] of after.entries()) {
      const then = before[i] as (typeof after)[number];
      expect(now.descriptors).toBeLessThanOrEqual(then.descriptors + 4);
      expect(now.threads).toBeLessThanOrEqual(then.threads + 1);
      expect(now.rings).toBe(0);
      expect(now.memory - then.memory).toBeLessThan(100 * 2 ** 20);
    }
    // Metric series of ended surveys are kept for two minutes, so their number may grow, but by fewer
    // than a hundred for each survey.
    const series = after.map((now, i) => now.series - (before[i]?.series ?? 0));
    expect(Math.max(...series)).toBeLessThan(100 * MORE);
  });
});
