/**
 * From "sent" to "settled": a position is settled once its cooldown (the reply window, ZMap's term) is over.
 * The tracker samples the position up to which probes were sent, at each call, and drops the samples of
 * settled positions.
 */
import { assert } from '../../shared/base/assert.js';

export class CooldownTracker {
  readonly #samples: { readonly at: number; readonly sentUpTo: number }[] = [];
  #settledUpTo: number;

  /** @param from the first position */
  constructor(from: number) {
    this.#settledUpTo = from;
  }

  /** All positions below `sentUpTo` had been sent at `now`. Neither ever decreases. */
  observe(now: number, sentUpTo: number): void {
    const last = this.#samples.at(-1);
    assert(last === undefined || now >= last.at, `observed at ${now}, after ${last?.at}`);
    const known = last?.sentUpTo ?? this.#settledUpTo;
    if (sentUpTo > known) this.#samples.push({ at: now, sentUpTo });
  }

  /** A position below which all had been sent at `instant`. */
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
