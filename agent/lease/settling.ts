/**
 * From "sent" to "settled": a position is settled once its reply window has passed. The track keeps
 * when each stretch had been sent, at the grain it is told, and forgets what has settled.
 */
import type { SendProgress } from '../ports.js';

export class SettleTrack {
  readonly #samples: { readonly at: number; readonly progress: SendProgress }[] = [];
  #settled: SendProgress;

  constructor(from: number) {
    this.#settled = { sent: from, lost: 0, excluded: 0 };
  }

  /** Sending had come so far at `now`. Times and positions never go back. */
  observe(now: number, progress: SendProgress): void {
    const last = this.#samples.at(-1)?.progress ?? this.#settled;
    if (progress.sent > last.sent) this.#samples.push({ at: now, progress });
  }

  /** How far sending had come at `instant`, or a little less. */
  settledAt(instant: number): SendProgress {
    let first = this.#samples[0];
    while (first !== undefined && first.at <= instant) {
      this.#settled = first.progress;
      this.#samples.shift();
      first = this.#samples[0];
    }
    return this.#settled;
  }
}
