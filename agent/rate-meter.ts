/** Measures the rate of a growing count, over windows of at least half a second. */
const WINDOW_MILLIS = 500;

export class RateMeter {
  #rate = 0;
  #count = 0;
  #at: number;

  /** @param now monotonic clock, as in `update` */
  constructor(now: number) {
    this.#at = now;
  }

  /** Per second, over the last complete window. */
  get rate(): number {
    return this.#rate;
  }

  /** @param count the total so far */
  update(count: number, now: number): void {
    const elapsed = now - this.#at;
    if (elapsed < WINDOW_MILLIS) return;
    this.#rate = ((count - this.#count) * 1000) / elapsed;
    this.#count = count;
    this.#at = now;
  }
}
