/**
 * Shards on offer in memory: each has one holder at a time, and is offered again if its holder does not
 * extend it.
 */
import type { Clock } from '../../base/clock.js';
import { LIMITS } from '../../base/limits.js';
import type { ShardOffer, ShardQueue } from '../interfaces.js';

interface Entry {
  readonly survey: string;
  readonly shard: number;
  /** The monotonic time until which the offer is hidden, because it is held or was released with a delay. */
  hiddenUntil: number;
}

/** Polling interval of an empty queue. */
const POLL_MILLIS = 20;
/** Completed offers that are remembered: a restarted broker may deliver these again. */
const REMEMBERED = 50;

export class MemoryWork implements ShardQueue {
  readonly #open = new Set<string>();
  readonly #entries = new Map<string, Entry>();
  /** Completed offers. */
  readonly #done: Entry[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async open(survey: string): Promise<void> {
    this.#open.add(survey);
  }

  async close(survey: string): Promise<void> {
    this.#open.delete(survey);
    for (const [key, entry] of this.#entries)
      if (entry.survey === survey) this.#entries.delete(key);
  }

  async offer(survey: string, shard: number): Promise<void> {
    const key = `${survey}.${shard}`;
    if (!this.#entries.has(key)) this.#entries.set(key, { survey, shard, hiddenUntil: 0 });
  }

  async next(
    survey: string,
    waitMillis: number,
    signal: AbortSignal,
  ): Promise<ShardOffer | undefined> {
    const deadline = this.#clock.monotonic() + waitMillis;
    while (!signal.aborted) {
      const now = this.#clock.monotonic();
      for (const [key, entry] of this.#open.has(survey) ? this.#entries : []) {
        const isFree = entry.survey === survey && entry.hiddenUntil <= now;
        if (isFree) return this.#deliver(key, entry);
      }
      if (now >= deadline) return undefined;
      await this.#clock.sleep(POLL_MILLIS, signal);
    }
    return undefined;
  }

  /** Delivers everything on offer again, and recently completed offers, too. */
  relapse(): void {
    for (const entry of this.#entries.values()) entry.hiddenUntil = 0;
    for (const entry of this.#done.splice(0)) {
      const key = `${entry.survey}.${entry.shard}`;
      if (!this.#entries.has(key)) this.#entries.set(key, entry);
    }
  }

  /** Loses all offers, as a broker does when its host loses power. */
  lose(): void {
    this.#entries.clear();
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
      complete: async () => {
        if (this.#entries.delete(key)) this.#done.push({ ...entry, hiddenUntil: 0 });
        if (this.#done.length > REMEMBERED) this.#done.shift();
      },
      release: hide,
    };
  }
}
