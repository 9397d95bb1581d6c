/**
 * A queue between a callback that delivers items and a loop that consumes them. Its iterator waits for items,
 * and ends when the signal aborts; items that are still queued then are dropped.
 */
import { assert } from './assert.js';

export class Channel<Item> implements AsyncIterable<Item> {
  readonly #queue: Item[] = [];
  readonly #bound: number;
  #wake: (() => void) | undefined;
  #isClosed = false;

  /** @param bound the maximum number of items that may wait; `push` asserts that it is not exceeded */
  constructor(signal: AbortSignal, bound = 1_000_000) {
    this.#bound = bound;
    if (signal.aborted) this.close();
    else signal.addEventListener('abort', () => this.close(), { once: true });
  }

  push(item: Item): void {
    if (this.#isClosed) return;
    assert(this.#queue.length < this.#bound, 'a channel exceeds its bound');
    this.#queue.push(item);
    this.#wake?.();
  }

  /** As `push`, for items of untrusted senders: drops the item and returns false if the queue is full. */
  offer(item: Item): boolean {
    if (this.#queue.length >= this.#bound) return false;
    this.push(item);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item> {
    while (!this.#isClosed) {
      const item = this.#queue.shift();
      if (item !== undefined) yield item;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}
