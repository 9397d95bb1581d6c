/** The stripes of a job that several senders share: each takes every n-th one. */

/** The index of this sender among the senders of a job. */
export interface SenderIndex {
  readonly index: number;
  readonly count: number;
}

/** Positions of a shared job that one sender takes at a time. */
const STRIPE = 512;

export class Stripes {
  readonly #sender: SenderIndex;

  constructor(sender: SenderIndex) {
    this.#sender = sender;
  }

  /** The first position from `position` on that is in one of our stripes. */
  nextOurs(position: number): number {
    const { index, count } = this.#sender;
    if (count === 1) return position;
    const stripe = Math.floor(position / STRIPE);
    const ahead = (index - (stripe % count) + count) % count;
    return ahead === 0 ? position : (stripe + ahead) * STRIPE;
  }

  /** The end of our run of positions, at most `to`. */
  endOf(position: number, to: number): number {
    if (this.#sender.count === 1) return to;
    return Math.min(to, (Math.floor(position / STRIPE) + 1) * STRIPE);
  }
}
