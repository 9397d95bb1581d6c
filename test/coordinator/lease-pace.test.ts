import { describe, expect, test } from 'vitest';
import { heartbeatGap, LeasePace } from '../../coordinator/leases/lease-pace.js';
import type { Clock } from '../../shared/base/clock.js';
import { stopController } from '../../shared/base/stop.js';

/** A clock that a busy process sees: each sleep ends late. */
class LateClock implements Clock {
  lateMillis = 0;
  #now = 0;
  readonly #until: number;
  readonly #stop: AbortController;

  constructor(until: number, stop: AbortController) {
    this.#until = until;
    this.#stop = stop;
  }

  wall = () => this.#now as ReturnType<Clock['wall']>;
  monotonic = () => this.#now as ReturnType<Clock['monotonic']>;

  async sleep(millis: number): Promise<void> {
    this.#now += millis + this.lateMillis;
    if (this.#now >= this.#until) this.#stop.abort();
  }
}

/** The pace after some seconds, and the leases that were opened meanwhile, for agents that want any number. */
async function paceAfter(seconds: number, lateMillis: number) {
  const stop = stopController();
  const clock = new LateClock(seconds * 1000, stop);
  clock.lateMillis = lateMillis;
  const pace = new LeasePace(clock);
  let opened = 0;
  const sleep = clock.sleep.bind(clock);
  clock.sleep = async (millis) => {
    opened += pace.take(1_000_000);
    await sleep(millis);
  };
  await pace.run(stop.signal);
  return { pace, opened };
}

describe('the pace of leases', () => {
  test('grows while agents want more and nothing is late', async () => {
    const { pace, opened } = await paceAfter(10, 0);
    expect(pace.perSecond).toBeGreaterThan(10_000);
    expect(opened).toBeGreaterThan(50_000);
  });

  test('does not grow while agents want no more than they get', async () => {
    const stop = stopController();
    const pace = new LeasePace(new LateClock(10_000, stop));
    const before = pace.perSecond;
    await pace.run(stop.signal);
    expect(pace.perSecond).toBe(before);
  });

  test('falls to its least, and no further, while the event loop is late', async () => {
    const { pace, opened } = await paceAfter(60, 300);
    expect(pace.perSecond).toBe(100);
    expect(opened).toBeLessThan(10_000);
    expect(opened).toBeGreaterThan(60 * 50);
  });

  test('never opens more leases than are wanted', () => {
    const pace = new LeasePace(new LateClock(1, stopController()));
    expect(pace.take(3)).toBe(3);
    expect(pace.take(0)).toBe(0);
  });
});

describe('the gap between heartbeats', () => {
  test('grows with the number of agents, from fifteen milliseconds to a second', () => {
    expect([1, 30, 100, 1000, 2000, 100_000].map(heartbeatGap)).toEqual([
      15, 30, 100, 1000, 1000, 1000,
    ]);
  });
});
