/**
 * How many probes an agent can have sent by a time: the integral of the rates that it was granted. What an agent
 * claims beyond it is not possible.
 */
import { LIMITS } from '../../shared/base/limits.js';

interface GrantedRate {
  readonly rate: number;
  readonly expiresAt: number;
}

interface Sample {
  readonly at: number;
  readonly granted: number;
}

/** An agent may exceed its rate by this factor for a while, because its clock and its pacer are not exact. */
const TOLERANCE = 1.2;
/** Probes that may be ahead of the rate: those of one batch of each sender thread. */
const BURST = 8192;
/** Seconds of the highest rate that may be ahead: heartbeats may take this long to arrive. */
const AHEAD_SECONDS = 1;

/** Samples are at least this far apart. */
const SAMPLE_MILLIS = 250;

export class GrantedProbes {
  #rates: GrantedRate[] = [];
  /** Ascending; each `granted` is the number of probes that the grants up to `at` allow, at least. */
  readonly #samples: Sample[];
  #rateMax = 0;

  /** @param now our monotonic clock, as all times here */
  constructor(now: number) {
    this.#samples = [{ at: now, granted: 0 }];
  }

  /** Records a grant. It lasts at most `LIMITS.grantMillis` from now on, because it answers an earlier heartbeat. */
  onGrant(rate: number, now: number): void {
    this.#advance(now);
    this.#rateMax = Math.max(this.#rateMax, rate);
    this.#rates.push({ rate, expiresAt: now + LIMITS.grantMillis });
  }

  /** The most probes that can have been sent up to a time. */
  mostBy(time: number, now: number): number {
    this.#advance(now);
    const sample = this.#samples.find(({ at }) => at >= time) ?? (this.#samples.at(-1) as Sample);
    return sample.granted * TOLERANCE + this.#rateMax * AHEAD_SECONDS + BURST;
  }

  /** Forgets samples before a time, for which nobody asks any more. */
  forgetBefore(time: number): void {
    while ((this.#samples[0]?.at ?? time) < time && this.#samples.length > 1) this.#samples.shift();
  }

  /** Any grant that has not expired may be in use: the largest counts. */
  #advance(now: number): void {
    const last = this.#samples.at(-1) as Sample;
    if (now <= last.at) return;
    const rate = this.#rates.reduce((most, each) => Math.max(most, each.rate), 0);
    const millis = Math.min(now, this.#lastExpiry(last.at)) - last.at;
    const sample = { at: now, granted: last.granted + (rate * Math.max(0, millis)) / 1000 };
    const isDense = last.at - (this.#samples.at(-2)?.at ?? last.at) < SAMPLE_MILLIS;
    if (isDense && this.#samples.length > 1) this.#samples[this.#samples.length - 1] = sample;
    else this.#samples.push(sample);
    this.#rates = this.#rates.filter(({ expiresAt }) => expiresAt > now);
  }

  #lastExpiry(since: number): number {
    return this.#rates.reduce((latest, { expiresAt }) => Math.max(latest, expiresAt), since);
  }
}
