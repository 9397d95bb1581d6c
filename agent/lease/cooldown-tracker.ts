/**
 * Decides which positions are settled: those whose cooldown (ZMap's term for the reply window) is over. The
 * tracker samples, at each call, the position up to which probes were sent, and drops the samples of settled
 * positions.
 */
import { assert } from '../../shared/base/assert.js';

export class CooldownTracker {
  readonly #samples: { readonly at: number; readonly sentUpTo: number }[] = [];
  #settledUpTo: number;

  /** @param from the first position */
  constructor(from: number) {
    this.#settledUpTo = from;
  }

  /** Records that all positions below `sentUpTo` have been sent at `now`. Neither argument ever decreases. */
  observe(now: number, sentUpTo: number): void {
    const last = this.#samples.at(-1);
    assert(last === undefined || now >= last.at, `time goes backwards from ${last?.at} to ${now}`);
    const known = last?.sentUpTo ?? this.#settledUpTo;
    if (sentUpTo > known) this.#samples.push({ at: now, sentUpTo });
  }

  /**
   * The last `sentUpTo` sampled at or before `instant`; `from` if there is none. All positions below the
   * result had been sent by then.
   */
  sentUpToAt(instant: number): number {
    let first = this.#samples[0];
    while (first !== undefined && first.at <= instant) {
      this.#settledUpTo = first.sentUpTo;
      this.#samples.shift();
      first = this.#samples[0];
    }
    return this.#settledUpTo;
  }
}
