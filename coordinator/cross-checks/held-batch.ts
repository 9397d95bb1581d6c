/** Settled shards of one agent, which are stored together, once one of them was checked. */
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
  /** Rows by shard. */
  readonly #rows = new Map<number, number>();
  readonly #opinions = new Map<number, Opinion[]>();

  constructor(agent: string) {
    this.agent = agent;
  }

  get shards(): readonly number[] {
    return [...this.#rows.keys()];
  }
  get size(): number {
    return this.#rows.size;
  }
  /** The number of checks that were done. */
  get checks(): number {
    return [...this.#opinions.values()].reduce((sum, { length }) => sum + length, 0);
  }

  add(shard: number, rowCount: number): void {
    this.#rows.set(shard, rowCount);
  }

  /** Removes the shards that are not waiting any more, because they are probed again. */
  keep(isWaiting: (shard: number) => boolean): void {
    for (const shard of this.shards) if (!isWaiting(shard)) this.#rows.delete(shard);
    if (this.checking !== undefined && !this.#rows.has(this.checking)) this.checking = undefined;
  }

  isFull(shardsMax: number, rowsMax: number): boolean {
    const rows = [...this.#rows.values()].reduce((sum, count) => sum + count, 0);
    return this.size >= shardsMax || rows >= rowsMax;
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
