/**
 * How many probes may leave now. Credit grows with time at the granted rate and is spent by sending;
 * what a pause would have earned is forgotten, so there is no catching up after one. A burst is at
 * most two milliseconds of budget.
 */

const BURST_MILLIS = 2;
/** Credit kept over an oversleep: timers and schedulers are late by this much at times. */
const CREDIT_MILLIS = 10;
/** At low rates: one probe, and what waking late by a fraction has earned. */
const CREDIT_MIN = 1.5;
const WAIT_MILLIS_MIN = 0.25;
const WAIT_MILLIS_MAX = 100;

export class Pacer {
  #credit = 0;
  #seenAt: number;

  constructor(now: number) {
    this.#seenAt = now;
  }

  /** Whole probes that may leave at `now` (monotonic milliseconds) at `rate` packets per second. */
  allowance(now: number, rate: number): number {
    const perMilli = rate / 1000;
    const earned = (now - this.#seenAt) * perMilli;
    this.#seenAt = now;
    if (rate <= 0) {
      this.#credit = 0;
      return 0;
    }
    this.#credit = Math.min(this.#credit + earned, Math.max(CREDIT_MIN, CREDIT_MILLIS * perMilli));
    return Math.floor(Math.min(this.#credit, Math.max(1, BURST_MILLIS * perMilli)));
  }

  spend(probes: number): void {
    this.#credit -= probes;
  }

  /** Milliseconds to sleep until there is enough credit to be worth a call. */
  pause(rate: number): number {
    if (rate <= 0) return WAIT_MILLIS_MAX;
    const worth = Math.max(1, (rate / 1000) * (BURST_MILLIS / 2));
    const millis = ((worth - this.#credit) / rate) * 1000;
    return Math.min(WAIT_MILLIS_MAX, Math.max(WAIT_MILLIS_MIN, millis));
  }
}
