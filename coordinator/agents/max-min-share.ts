/**
 * Max-min fair shares of a rate (Bertsekas & Gallager, "Data Networks", §6.5.2): capacity that capped
 * sharers cannot use goes to the rest. Sharers with the same cap are counted together, so the time to compute
 * a share depends on the number of different caps, not on the number of agents.
 */
import { assert } from '../../shared/base/assert.js';

export class MaxMinShare {
  /** Number of sharers by cap, packets per second. */
  readonly #counts = new Map<number, number>();
  #sharers = 0;

  add(cap: number): void {
    assert(cap >= 0, `a sharer has the negative cap ${cap}`);
    this.#counts.set(cap, (this.#counts.get(cap) ?? 0) + 1);
    this.#sharers++;
  }

  /** Undoes an `add` of the same cap. */
  remove(cap: number): void {
    const left = (this.#counts.get(cap) ?? 0) - 1;
    assert(left >= 0, `a sharer with the cap ${cap} is removed, but was not added`);
    if (left > 0) this.#counts.set(cap, left);
    else this.#counts.delete(cap);
    this.#sharers--;
  }

  /** The share of sharers that are not limited by their caps; infinite if the budget covers every cap. */
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
    return Number.POSITIVE_INFINITY;
  }
}
