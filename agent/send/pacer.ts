/**
 * Rate limiter of a sender: two token buckets. The *credit* bucket fills at the granted rate and enforces the
 * average: its depth covers the few milliseconds by which a sleeping thread wakes too late. The *burst*
 * bucket limits bursts: it holds two milliseconds of tokens and fills a little faster, so that lost time is
 * made up for without a burst. Tokens that a longer pause would have added are dropped.
 *
 * Within any second at most 1.01 times the rate is sent: the depth of the credit bucket is eight milliseconds
 * of tokens.
 */

const BURST_MILLIS = 2;
const CREDIT_MILLIS = 8;
/** Factor by which a backlog is sent faster than the rate. */
const MAKING_UP = 1.4;
/** Minimum bucket depth: one probe plus slack for late wake-ups. */
const CREDIT_MIN = 1.5;
/**
 * Waits until this many milliseconds’ worth of probes may be sent, then sends them together: a system call for
 * each probe would use a whole core at a tenth of the possible rate.
 */
const WORTH_MILLIS = 1.95;
const WAIT_MILLIS_MIN = 0.1;
const WAIT_MILLIS_MAX = 100;

export class Pacer {
  #credit = 0;
  #burst = 0;
  /** Probes left of the current group, which may be sent together. */
  #open = 0;
  #seenAt: number;

  constructor(now: number) {
    this.#seenAt = now;
  }

  /** Whole probes that may be sent at `now` (monotonic milliseconds) at `rate` packets per second. */
  allowance(now: number, rate: number): number {
    const perMilli = rate / 1000;
    const elapsed = now - this.#seenAt;
    this.#seenAt = now;
    if (rate <= 0) {
      this.#credit = 0;
      this.#burst = 0;
      this.#open = 0;
      return 0;
    }
    const depth = Math.max(CREDIT_MIN, CREDIT_MILLIS * perMilli);
    const height = Math.max(CREDIT_MIN, BURST_MILLIS * perMilli);
    this.#credit = Math.min(depth, this.#credit + elapsed * perMilli);
    this.#burst = Math.min(height, this.#burst + elapsed * perMilli * MAKING_UP);
    if (this.#open <= 0) {
      const worth = worthOf(perMilli);
      const whole = Math.floor(Math.min(this.#credit, this.#burst));
      this.#open = whole >= worth ? whole : 0;
    }
    return this.#open;
  }

  spend(probes: number): void {
    this.#credit -= probes;
    this.#burst -= probes;
    this.#open -= probes;
  }

  /** Milliseconds to sleep until enough probes for a system call may be sent. */
  pause(rate: number): number {
    if (rate <= 0) return WAIT_MILLIS_MAX;
    const perMilli = rate / 1000;
    const worth = worthOf(perMilli);
    const untilCredit = (worth - this.#credit) / perMilli;
    const untilBurst = (worth - this.#burst) / (perMilli * MAKING_UP);
    const millis = Math.max(untilCredit, untilBurst);
    return Math.min(WAIT_MILLIS_MAX, Math.max(WAIT_MILLIS_MIN, millis));
  }
}

/** The smallest number of probes worth a wake-up. The rate is per millisecond. */
function worthOf(perMilli: number): number {
  return Math.max(1, Math.floor(WORTH_MILLIS * perMilli));
}
