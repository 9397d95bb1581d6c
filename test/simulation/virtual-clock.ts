/** A clock that advances to the next due timer. Nothing really sleeps. */
import type { Millis } from '../../shared/base/brand.js';
import type { Clock } from '../../shared/base/clock.js';

interface Timer {
  readonly at: number;
  readonly fire: () => void;
  isOff: boolean;
}

const EPOCH = 1_700_000_000_000;

export class VirtualClock implements Clock {
  #now = 0;
  /** Ascending by time; timers of the same instant in the order in which they were set. */
  readonly #timers: Timer[] = [];

  wall(): Millis {
    return (EPOCH + this.#now) as Millis;
  }

  monotonic(): Millis {
    return this.#now as Millis;
  }

  sleep(millis: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        timer.isOff = true;
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer: Timer = { at: this.#now + Math.max(0, millis), fire: done, isOff: false };
      this.#insert(timer);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  /** Advances time until the promise settles. @throws Error after `limitMillis` of virtual time */
  async runUntil<Value>(promise: Promise<Value>, limitMillis: number): Promise<Value> {
    let isSettled = false;
    const settled = promise.finally(() => {
      isSettled = true;
    });
    settled.catch(() => {});
    const deadline = this.#now + limitMillis;
    for (;;) {
      // Everything that can run now runs before time advances.
      await new Promise((resolve) => setImmediate(resolve));
      if (isSettled) return await settled;
      let next = this.#timers.shift();
      while (next?.isOff) next = this.#timers.shift();
      if (next === undefined) throw new Error(`nothing is left to happen at ${this.#now} ms`);
      if (next.at > deadline) throw new Error(`not settled after ${limitMillis} ms`);
      this.#now = next.at;
      next.fire();
      // Timers of the same instant fire together.
      while (this.#timers[0]?.at === this.#now) this.#timers.shift()?.fire();
    }
  }

  #insert(timer: Timer): void {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#timers[middle] as Timer).at <= timer.at) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
  }
}
