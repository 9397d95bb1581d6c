/**
 * Even shares of a budget, where some can use no more than their cap: what they leave goes to the
 * others. Those who have the same cap are counted together, so a share costs no more for a thousand
 * agents than for one.
 */
export class MaxMinShare {
  /** Sharers by their cap. */
  readonly #counts = new Map<number, number>();
  #sharers = 0;

  add(cap: number): void {
    this.#counts.set(cap, (this.#counts.get(cap) ?? 0) + 1);
    this.#sharers++;
  }

  /** Takes back what was added. */
  remove(cap: number): void {
    const left = (this.#counts.get(cap) ?? 0) - 1;
    if (left > 0) this.#counts.set(cap, left);
    else this.#counts.delete(cap);
    this.#sharers--;
  }

  /** The share of each of those who are not held back by their cap, so that all shares make the budget. */
  of(budget: number): number {
    let left = budget;
    let sharers = this.#sharers;
    const ascending = [...this.#counts].sort(([a], [b]) => a - b);
    for (const [cap, count] of ascending) {
      const share = left / sharers;
      if (cap > share) return share;
      left -= cap * count;
      sharers -= count;
    }
    return Number.POSITIVE_INFINITY; // everyone is held back by his own cap
  }
}
