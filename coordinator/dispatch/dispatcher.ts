/**
 * Keeps shards on offer: enough that no agent waits, few enough that a huge survey costs the broker
 * and us no more than a small one.
 */
import { LIMITS } from '../../shared/base/limits.js';
import type { ShardQueue } from '../../shared/bus/interfaces.js';

/** What says which shards come next; they count as offered once named. */
export interface Backlog {
  offerNext(window: number, now: number): number[];
}

/** Offers what comes next. The window follows the demand: twice what was taken since last time. */
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
    await Promise.all(shards.map((shard) => this.#queue.offer(this.#survey, shard)));
  }
}
