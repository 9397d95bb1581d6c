/**
 * How many probes may leave now. Two buckets fill with time at the granted rate. The *credit* keeps
 * the average: it outlasts the few milliseconds by which a sleeping thread wakes too late. The *burst*
 * keeps the peace: it holds two milliseconds of budget and fills a little faster, so that what was
 * missed is made up for without a burst. What a longer pause would have earned is forgotten.
 *
 * Within any second no more than 1.01 times the rate leaves: the credit's depth is eight milliseconds
 * of budget, the burst's is two.
 */

const BURST_MILLIS = 2;
const CREDIT_MILLIS = 8;
/** How much faster than the rate a backlog is worked off. */
const MAKING_UP = 1.4;
/** At low rates: one probe, and what waking late by a fraction has earned. */
const CREDIT_MIN = 1.5;
/** A thread that sleeps wakes up so many milliseconds of budget later at the earliest. */
const WORTH_MILLIS = 1.5;
const WAIT_MILLIS_MIN = 0.1;
const WAIT_MILLIS_MAX = 100;

export class Pacer {
  #credit = 0;
  #burst = 0;
  #seenAt: number;

  constructor(now: number) {
    this.#seenAt = now;
  }

  /** Whole probes that may leave at `now` (monotonic milliseconds) at `rate` packets per second. */
  allowance(now: number, rate: number): number {
    const perMilli = rate / 1000;
    const elapsed = now - this.#seenAt;
    this.#seenAt = now;
    if (rate <= 0) {
      this.#credit = 0;
      this.#burst = 0;
      return 0;
    }
    const depth = Math.max(CREDIT_MIN, CREDIT_MILLIS * perMilli);
    const height = Math.max(CREDIT_MIN, BURST_MILLIS * perMilli);
    this.#credit = Math.min(depth, this.#credit + elapsed * perMilli);
    this.#burst = Math.min(height, this.#burst + elapsed * perMilli * MAKING_UP);
    return Math.max(0, Math.floor(Math.min(this.#credit, this.#burst)));
  }

  spend(probes: number): void {
    this.#credit -= probes;
    this.#burst -= probes;
  }

  /** Milliseconds to sleep until there is enough to be worth a system call. */
  pause(rate: number): number {
    if (rate <= 0) return WAIT_MILLIS_MAX;
    const perMilli = rate / 1000;
    const worth = Math.max(1, WORTH_MILLIS * perMilli);
    const untilCredit = (worth - this.#credit) / perMilli;
    const untilBurst = (worth - this.#burst) / (perMilli * MAKING_UP);
    const millis = Math.max(untilCredit, untilBurst);
    return Math.min(WAIT_MILLIS_MAX, Math.max(WAIT_MILLIS_MIN, millis));
  }
}
