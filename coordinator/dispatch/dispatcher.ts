/**
 * The scheduler of shards. The window is the number of shards that it keeps on offer: large enough that no
 * agent waits, but small enough that a huge survey costs the broker and the coordinator no more than a small
 * one. The window follows demand: each call of `dispatch` sets it to twice the number of shards taken since
 * the call before, but at most halves it.
 */
import { assert } from '../../shared/base/assert.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { ShardQueue } from '../../shared/bus/interfaces.js';

/** Returns the shards to offer next; they count as offered from then on. */
export interface Backlog {
  offerNext(window: number, now: number): number[];
}

export class Dispatcher {
  readonly #queue: ShardQueue;
  readonly #survey: string;
  #window: number = LIMITS.dispatchWindow;

  constructor(queue: ShardQueue, survey: string) {
    this.#queue = queue;
    this.#survey = survey;
  }

  async dispatch(backlog: Backlog, now: number): Promise<void> {
    const shards = backlog.offerNext(this.#window, now);
    const demand = Math.max(2 * shards.length, this.#window / 2, LIMITS.dispatchWindow);
    this.#window = Math.min(Math.floor(demand), LIMITS.dispatchWindowMax);
    assert(this.#window >= LIMITS.dispatchWindow, `the window shrank to ${this.#window}`);
    await Promise.all(shards.map((shard) => this.#queue.offer(this.#survey, shard)));
  }
}
