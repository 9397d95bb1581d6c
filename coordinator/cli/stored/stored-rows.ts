/** The rows of stored shards: read by DuckDB, whatever the format, with the fields and the filter asked for. */
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { type Disk, systemDisk } from '../../../shared/base/disk.js';
import { describeError, Fault } from '../../../shared/base/faults.js';
import { IntervalSet } from '../../../shared/base/intervals.js';
import { readJournal } from '../../ledger/journal.js';
import { quote, rowsOfQuery, withDuck } from '../../sink/duck.js';
import type { Value } from '../../sink/row.js';
import { type Segment, SegmentStore } from '../../sink/segments.js';
import { LEDGER_FILE } from '../../sink/survey-folder.js';

export interface Selection {
  readonly fields: readonly string[];
  /** An SQL condition. */
  readonly filter?: string | undefined;
}

const TRIES = 5;

export class StoredRows {
  readonly #store: SegmentStore;
  readonly #folder: string;
  readonly #disk: Disk = systemDisk;
  /** Shards whose rows have been read. */
  readonly #read = new IntervalSet();

  /** @param output name of the sink that wrote the segments */
  constructor(folder: string, output: string) {
    this.#folder = folder;
    this.#store = new SegmentStore(folder, output, systemDisk);
  }

  /** Rows of the shards that were stored since the last call, by shard; of all, at first. */
  async *fresh(selection: Selection): AsyncGenerator<readonly Value[]> {
    const shards: number[] = [];
    for await (const { shard, rows } of readJournal(this.#disk, join(this.#folder, LEDGER_FILE))) {
      if (!this.#read.has(shard) && rows > 0) shards.push(shard);
    }
    shards.sort((a, b) => a - b);
    for (let attempt = 1; shards.length > 0; attempt++) {
      const segments = await this.#store.list();
      const segment = segments.find(({ from, to }) => holds(shards, from, to));
      if (segment === undefined) {
        if (attempt < TRIES) continue; // merged while they were listed
        const why = `the rows of shard ${shards[0]} are not there, although the journal says so`;
        throw new Fault('UNREADABLE_FILE', why, { file: this.#folder });
      }
      const within = shards.filter((shard) => segment.from <= shard && shard < segment.to);
      let hasBegun = false;
      try {
        for await (const row of this.#rowsOf(segment, within, selection)) {
          hasBegun = true;
          yield row;
        }
        for (const shard of within) this.#read.add(shard);
        const isRead = new Set(within);
        shards.splice(0, shards.length, ...shards.filter((shard) => !isRead.has(shard)));
        attempt = 0;
      } catch (error) {
        // Merged while we were about to read it: the list is another one now.
        const isGone = (await this.#disk.size(segment.file)) === 0;
        if (!isGone || hasBegun || attempt === TRIES)
          throw refusalOf(error, { flag: '--filter', value: selection.filter });
      }
    }
  }

  /** Writes all rows as one Parquet file. @throws Fault UNWRITABLE or BAD_OPTION */
  async exportTo(file: string, selection: Selection): Promise<void> {
    const copy = async (table: string, connection: DuckDBConnection) => {
      const sql = `COPY (${select(table, selection)}) TO`;
      await this.#disk.makeWhole(file, async (beside) => {
        await connection.run(`${sql} ${quote(beside)} (FORMAT parquet, COMPRESSION zstd)`);
      });
    };
    await this.withTable(copy).catch((error: unknown) => {
      throw refusalOf(error, { flag: '--filter', value: selection.filter });
    });
  }

  /**
   * Works on all rows there are, as DuckDB sees them; again where segments were merged meanwhile.
   * @throws Fault UNKNOWN_SURVEY where there are none
   */
  async withTable<Result>(
    work: (table: string, connection: DuckDBConnection) => Promise<Result>,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const files = (await this.#store.list()).map(({ file }) => file);
      if (files.length === 0) throw new Fault('UNKNOWN_SURVEY', 'no rows are stored yet');
      const table = this.#store.sink.table(files.map(quote).join(', '));
      try {
        return await withDuck((connection) => work(table, connection));
      } catch (error) {
        const sizes = await Promise.all(files.map((file) => this.#disk.size(file)));
        if (attempt === TRIES || sizes.every((size) => size > 0)) throw error;
      }
    }
  }

  async *#rowsOf(
    { from, to, file }: Segment,
    within: readonly number[],
    selection: Selection,
  ): AsyncGenerator<readonly Value[]> {
    const isPart = within.length < to - from;
    const only = isPart ? `(shard IN (${within.join(', ')}))` : undefined;
    const filters = [only, selection.filter && `(${selection.filter})`];
    const filter = filters.filter((each) => each !== undefined).join(' AND ') || undefined;
    const table = this.#store.sink.table(quote(file));
    for await (const row of rowsOfQuery(select(table, { ...selection, filter })))
      yield row as readonly Value[];
  }
}

/** Values as JavaScript has them: every whole number of ours is below 2^53. */
function select(table: string, { fields, filter }: Selection): string {
  const names = fields.map((name) => `"${name}"`).join(', ');
  return `SELECT ${names} FROM ${table}${filter === undefined ? '' : ` WHERE ${filter}`}`;
}

function holds(shards: readonly number[], from: number, to: number): boolean {
  return shards.some((shard) => from <= shard && shard < to);
}

/** What DuckDB says about a filter or a query is about what the user wrote, and where. */
export function refusalOf(error: unknown, { flag, value }: Fault['details']): unknown {
  const message = describeError(error);
  const isUsers = /^(Parser|Binder|Catalog|Conversion) Error/.test(message);
  if (!isUsers) return error;
  return new Fault('BAD_OPTION', message.split('\n')[0] ?? message, { flag, value }, error);
}
