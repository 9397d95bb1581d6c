/**
 * Back-pressure from storage. The rows of settled shards that wait to be stored take memory, so they are
 * counted: sending pauses above the limit and resumes below half of it (hysteresis).
 */
import { assert } from '../../shared/base/assert.js';

export class BackPressure {
  readonly #limit: number;
  readonly #onChange: () => void;
  /** Waiting rows by shard. */
  readonly #rows = new Map<number, number>();
  #total = 0;
  #isActive = false;

  /** @param onChange called when back-pressure starts or ends */
  constructor(limit: number, onChange: () => void) {
    assert(limit > 0, `the limit of waiting rows is ${limit}`);
    this.#limit = limit;
    this.#onChange = onChange;
  }

  /** True while sending must wait. */
  get isActive(): boolean {
    return this.#isActive;
  }
  /** Rows that wait to be stored. */
  get rows(): number {
    return this.#total;
  }

  /** Sets the number of a shard's rows that wait to be stored; it is 0 once they have been stored. */
  set(shard: number, rows: number): void {
    this.#total += rows - (this.#rows.get(shard) ?? 0);
    assert(this.#total >= 0, `${this.#total} rows wait to be stored`);
    if (rows === 0) this.#rows.delete(shard);
    else this.#rows.set(shard, rows);
    const isActive = this.#total > (this.#isActive ? this.#limit / 2 : this.#limit);
    if (isActive === this.#isActive) return;
    this.#isActive = isActive;
    this.#onChange();
  }
}
