/**
 * From "sent" to "settled": a position is settled once its reply window has passed. The track keeps
 * when each stretch had been sent, at the grain it is told, and forgets what has settled.
 */
export class CooldownTracker {
  readonly #samples: { readonly at: number; readonly sentUpTo: number }[] = [];
  #settled: number;

  constructor(from: number) {
    this.#settled = from;
  }

  /** Sending had come so far at `now`. Times and positions never go back. */
  observe(now: number, sentUpTo: number): void {
    const last = this.#samples.at(-1)?.sentUpTo ?? this.#settled;
    if (sentUpTo > last) this.#samples.push({ at: now, sentUpTo });
  }

  /** How far sending had come at `instant`, or a little less. */
  settledAt(instant: number): number {
    let first = this.#samples[0];
    while (first !== undefined && first.at <= instant) {
      this.#settled = first.sentUpTo;
      this.#samples.shift();
      first = this.#samples[0];
    }
    return this.#settled;
  }
}
