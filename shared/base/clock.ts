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
let origin = performance.timeOrigin;

/**
 * Microseconds since the Unix epoch. Finer than `Date.now`, and, unlike `performance`, follows changes of the
 * system clock.
 */
export function wallMicros(): number {
  const now = performance.now();
  const behind = Date.now() - (origin + now);
  if (behind > STEP_MILLIS || behind < -STEP_MILLIS) origin += behind;
  return Math.floor((origin + now) * 1000);
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
