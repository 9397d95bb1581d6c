/**
 * A set of whole numbers as sorted, disjoint, half-open ranges: a set that fills from below, with a few
 * holes, takes a few ranges however large it grows.
 */
export class IntervalSet {
  /** Starts and ends, pairwise: [from0, to0, from1, to1, …), ascending. */
  readonly #bounds: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The first number from `start` on that is missing from the set. */
  firstGap(start: number): number {
    const at = this.#boundAfter(start);
    return at % 2 === 1 ? (this.#bounds[at] as number) : start;
  }

  has(number: number): boolean {
    return this.#boundAfter(number) % 2 === 1;
  }

  /** True if all of [from, to) is in the set. */
  hasAll(from: number, to: number): boolean {
    return from >= to || (this.has(from) && this.firstGap(from) >= to);
  }

  /** @returns false if the number was in the set already */
  add(number: number): boolean {
    const at = this.#boundAfter(number);
    if (at % 2 === 1) return false;
    const bounds = this.#bounds;
    const joinsBefore = at > 0 && bounds[at - 1] === number;
    const joinsAfter = bounds[at] === number + 1;
    if (joinsBefore && joinsAfter) bounds.splice(at - 1, 2);
    else if (joinsBefore) bounds[at - 1] = number + 1;
    else if (joinsAfter) bounds[at] = number;
    else bounds.splice(at, 0, number, number + 1);
    this.#size++;
    return true;
  }

  /** The number of bounds at or below `number`; odd if the number is in the set. */
  #boundAfter(number: number): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#bounds[middle] as number) <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
