/**
 * Settled shards of one agent, which are stored together, once one of them was checked. Parts of them may have been
 * settled by others, which are judged as well.
 */
import type { ShardRows } from '../storage/shard-rows.js';

/** The answers of an agent that has checked a shard. */
interface Opinion {
  readonly agent: string;
  readonly rows: ShardRows;
}

export class HeldBatch {
  readonly agent: string;
  /** The shard that is being checked. */
  checking: number | undefined;
  /** Rows, and the agents that have settled positions, by shard. */
  readonly #held = new Map<number, { readonly rows: number; readonly owners: readonly string[] }>();
  readonly #opinions = new Map<number, Opinion[]>();

  constructor(agent: string) {
    this.agent = agent;
  }

  get shards(): readonly number[] {
    return [...this.#held.keys()];
  }
  get size(): number {
    return this.#held.size;
  }
  get rows(): number {
    return [...this.#held.values()].reduce((sum, { rows }) => sum + rows, 0);
  }
  /** The agents that have settled positions of its shards. */
  get owners(): ReadonlySet<string> {
    return new Set([...this.#held.values()].flatMap(({ owners }) => owners));
  }
  /** The number of checks that were done. */
  get checks(): number {
    return [...this.#opinions.values()].reduce((sum, { length }) => sum + length, 0);
  }

  add(shard: number, rows: number, owners: readonly string[]): void {
    this.#held.set(shard, { rows, owners });
  }

  /** Removes the shards that are not waiting any more, because they are probed again. */
  keep(isWaiting: (shard: number) => boolean): void {
    for (const shard of this.shards) if (!isWaiting(shard)) this.#held.delete(shard);
    if (this.checking !== undefined && !this.#held.has(this.checking)) this.checking = undefined;
  }

  isFull(shardsMax: number, rowsMax: number): boolean {
    return this.size >= shardsMax || this.rows >= rowsMax;
  }

  addOpinion(shard: number, opinion: Opinion): void {
    this.#opinions.set(shard, [...this.opinionsOn(shard), opinion]);
  }

  opinionsOn(shard: number): readonly Opinion[] {
    return this.#opinions.get(shard) ?? [];
  }

  hasOpinionOf(shard: number, agent: string): boolean {
    return this.opinionsOn(shard).some((opinion) => opinion.agent === agent);
  }
}
