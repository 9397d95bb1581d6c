/**
 * Writes lease records, for the coordinator that comes after this one: those of a shard in their order, by
 * compare-and-set. A record of an earlier term is overwritten, because its coordinator leads no more; one of a later
 * term ends our own.
 */
import { Fault } from '../../shared/base/faults.js';
import type { LeaseStore } from '../../shared/bus/interfaces.js';
import type { ShardTable } from '../storage/shard-table.js';

/** Attempts to overwrite what an earlier coordinator still writes. */
const TRIES = 10;
/** Records that are not urgent, of which as many are written at once. */
const WRITTEN_AT_ONCE = 200;

export class LeaseWriter {
  readonly #survey: string;
  readonly #term: number;
  readonly #store: LeaseStore;
  readonly #table: ShardTable;
  /** Shards whose lease has changed since it was written. */
  readonly #changed = new Set<number>();
  readonly #urgent = new Set<number>();
  readonly #writing = new Map<number, Promise<void>>();

  constructor(survey: string, term: number, store: LeaseStore, table: ShardTable) {
    this.#survey = survey;
    this.#term = term;
    this.#store = store;
    this.#table = table;
  }

  /**
   * The lease of a shard has changed, so its record is to be written: at once if `isUrgent`. It is not urgent if
   * its holder will report the same again.
   */
  onChange(shard: number, isUrgent: boolean): void {
    this.#changed.add(shard);
    if (isUrgent) this.#urgent.add(shard);
  }

  /** Resolves once all urgent records are written. @throws Fault DEPOSED */
  async writeUrgent(): Promise<void> {
    const urgent = [...this.#urgent];
    this.#urgent.clear();
    await Promise.all(urgent.map((shard) => this.#writeInTurn(shard)));
  }

  /**
   * Writes records that have changed, those that have waited longest first: all of them, or a third if they are many.
   * @throws Fault DEPOSED
   */
  async writeProgress(): Promise<void> {
    const most = Math.max(WRITTEN_AT_ONCE, Math.ceil(this.#changed.size / 3));
    const due: number[] = [];
    for (const shard of this.#changed) {
      if (due.length === most) break;
      due.push(shard);
    }
    await Promise.all(due.map((shard) => this.#writeInTurn(shard)));
  }

  /** Writes a shard's record after all earlier writes of it, unless they have written the current one. */
  async #writeInTurn(shard: number): Promise<void> {
    const before = this.#writing.get(shard);
    const writing = (async () => {
      await before?.catch(() => {}); // its caller gets the error
      if (this.#changed.delete(shard)) await this.#write(shard);
    })();
    this.#writing.set(shard, writing);
    try {
      await writing;
    } finally {
      if (this.#writing.get(shard) === writing) this.#writing.delete(shard);
    }
  }

  async #write(shard: number): Promise<void> {
    const lease = this.#table.leaseOf(shard);
    if (lease === undefined) return; // stored meanwhile
    let expected = this.#table.revisionOf(shard);
    try {
      for (let tries = TRIES; tries > 0; tries--) {
        const revision = await this.#store.write(lease, expected);
        if (revision !== undefined) {
          this.#table.onWritten(shard, revision);
          return;
        }
        const found = await this.#store.read(this.#survey, shard);
        if (found !== undefined && found.value.term > this.#term) break;
        expected = found?.revision ?? 0;
      }
    } catch (error) {
      this.onChange(shard, true);
      throw error;
    }
    throw new Fault('DEPOSED', 'another coordinator has taken over', { value: this.#survey });
  }
}
