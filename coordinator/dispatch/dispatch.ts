/**
 * Keeps shards on offer: enough that no agent waits, few enough that a huge survey costs the broker
 * no more than a small one.
 */
import { LIMITS } from '../../shared/base/limits.js';
import type { ShardQueue } from '../../shared/bus/ports.js';

/** What says which shards come next; they count as offered once named. */
export interface Backlog {
  offerNext(window: number): number[];
}

/** Offers what comes next. */
export async function dispatch(queue: ShardQueue, survey: string, backlog: Backlog): Promise<void> {
  const shards = backlog.offerNext(LIMITS.dispatchWindow);
  await Promise.all(shards.map((shard) => queue.offer(survey, shard)));
}
