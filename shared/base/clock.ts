/**
 * The clock interface: code that waits or takes timestamps is given a `Clock`, so that the simulation can run
 * whole surveys in virtual time. Monotonic time comes from `hrtime`, which is the same in all threads of a
 * process (`performance.now` starts at 0 in each worker).
 */
import type { Millis } from './brand.js';

export interface Clock {
  /** Milliseconds since the Unix epoch, with a fraction; may jump. */
  wall(): Millis;
  /** Milliseconds since an arbitrary origin, with a fraction; never goes back. */
  monotonic(): Millis;
  /** Resolves after `millis`, or at once when the signal aborts. Never rejects. */
  sleep(millis: number, signal?: AbortSignal): Promise<void>;
}

/** The time of the monotonic clock that all threads of the process share. */
export function monotonicMillis(): Millis {
  return (Number(process.hrtime.bigint()) / 1e6) as Millis;
}

/** `Date.now` and `performance` may differ by this much, because `Date.now` has whole milliseconds only. */
const STEP_MILLIS = 2;
/** Ticks of `Date.now` that are watched to find its offset. */
const TICKS = 3;
/** The wall clock when `performance.now` was 0, in milliseconds; undefined before it is first needed. */
let origin: number | undefined;

/**
 * Microseconds since the Unix epoch. Finer than `Date.now`, and, unlike `performance`, follows changes of the
 * system clock.
 */
export function wallMicros(): number {
  origin ??= exactOrigin();
  const now = performance.now();
  const behind = Date.now() - (origin + now);
  if (behind <= STEP_MILLIS && behind >= -STEP_MILLIS) return Math.floor((origin + now) * 1000);
  origin = exactOrigin();
  return Math.floor((origin + performance.now()) * 1000);
}

/**
 * Watches `Date.now` tick. `performance.timeOrigin` is wrong by milliseconds if the process was interrupted while it
 * was taken, and then round-trip times are. An interruption here makes the result smaller, so the largest one counts.
 */
function exactOrigin(): number {
  let largest = 0;
  for (let tick = 0; tick < TICKS; tick++) {
    const before = Date.now();
    let wall = before;
    while (wall === before) wall = Date.now();
    largest = Math.max(largest, wall - performance.now());
  }
  return largest;
}

export const systemClock: Clock = {
  wall: () => (wallMicros() / 1000) as Millis,
  monotonic: monotonicMillis,
  sleep(millis, signal) {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, millis));
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};

/** ISO 8601 with milliseconds, for manifests and logs. */
export function isoTime(wall: number): string {
  return new Date(wall).toISOString();
}

/** Calls `beat` again and again, and waits `periodMillis` after each call, until the signal aborts. */
export async function every(
  clock: Clock,
  periodMillis: number,
  signal: AbortSignal,
  beat: () => void | Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await beat();
    await clock.sleep(periodMillis, signal);
  }
}
