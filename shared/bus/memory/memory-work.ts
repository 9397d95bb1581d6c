/** Shards on offer in memory: one holder at a time, offered again when not extended. */
import type { Clock } from '../../base/clock.js';
import { LIMITS } from '../../base/limits.js';
import type { ShardOffer, ShardQueue } from '../ports.js';

interface Entry {
  readonly survey: string;
  readonly shard: number;
  /** Monotonic time before which it is hidden: held by someone, or given back with a delay. */
  hiddenUntil: number;
}

/** How often an empty queue is looked at again. */
const POLL_MILLIS = 20;

export class MemoryWork implements ShardQueue {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async offer(survey: string, shard: number): Promise<void> {
    const key = `${survey}.${shard}`;
    if (!this.#entries.has(key)) this.#entries.set(key, { survey, shard, hiddenUntil: 0 });
  }

  async next(waitMillis: number, signal: AbortSignal): Promise<ShardOffer | undefined> {
    const deadline = this.#clock.monotonic() + waitMillis;
    while (!signal.aborted) {
      const now = this.#clock.monotonic();
      for (const [key, entry] of this.#entries) {
        if (entry.hiddenUntil <= now) return this.#deliver(key, entry);
      }
      if (now >= deadline) return undefined;
      await this.#clock.sleep(POLL_MILLIS, signal);
    }
    return undefined;
  }

  #deliver(key: string, entry: Entry): ShardOffer {
    const hide = (millis: number) => {
      entry.hiddenUntil = this.#clock.monotonic() + millis;
    };
    hide(LIMITS.workAckMillis);
    return {
      survey: entry.survey,
      shard: entry.shard,
      extend: () => hide(LIMITS.workAckMillis),
      done: async () => void this.#entries.delete(key),
      giveBack: hide,
    };
  }
}
