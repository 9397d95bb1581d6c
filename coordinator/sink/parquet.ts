/**
 * Parquet, compressed by zstd, through DuckDB: typed columns that any tool reads. Fields that text formats
 * spell out (timestamps in three fields, names of ICMP codes) are computed from the stored ones.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import {
  appendChunks,
  CHUNK_ROWS,
  type ChunkColumn,
  quote,
  rowsOfQuery,
  withDuck,
} from './duck.js';
import { FIELDS, type Row } from './fields.js';
import type { GatheredColumn } from './gathered-column.js';
import { DERIVED, Dictionary, gathered, storedOf } from './parquet-columns.js';
import type { RowSource } from './row-source.js';
import type { Sink } from './sink.js';

const OPTIONS = '(FORMAT parquet, COMPRESSION zstd)';

export const parquet: Sink = {
  name: 'parquet',
  text: undefined,
  async write(disk, file, rows) {
    await disk.makeWhole(file, (beside) => withDuck((duck) => gather(duck, rows, beside)));
  },
  async *read(_disk, file, position) {
    const where = position === undefined ? '' : ` WHERE "position" = ${position}`;
    yield* rowsOfQuery(
      `SELECT ${fieldList()} FROM ${parquet.table(quote(file))}${where}`,
    ) as AsyncGenerator<Row>;
  },
  async merge(disk, files, into) {
    const all = `read_parquet([${files.map(quote).join(', ')}])`;
    const copy = (beside: string) => `COPY (FROM ${all}) TO ${quote(beside)} ${OPTIONS}`;
    await disk.makeWhole(into, async (beside) => {
      await withDuck((duck) => duck.run(copy(beside)));
    });
  },
  table(paths) {
    const derived = Object.entries(DERIVED).map(([name, sql]) => `${sql} AS ${name}`);
    return `(SELECT *, ${derived.join(', ')} FROM read_parquet([${paths}]))`;
  },
};

async function gather(
  connection: DuckDBConnection,
  rows: Iterable<RowSource>,
  into: string,
): Promise<void> {
  const names = new Dictionary();
  const columns = gathered(names);
  const types = columns.map(({ name, type }) => `"${name}" ${type}`).join(', ');
  await connection.run(`CREATE OR REPLACE TEMP TABLE gathered (${types})`);
  const gatherer = new Gatherer(columns, rows);
  await appendChunks(connection, 'gathered', gatherer.chunk, () => gatherer.next());
  const select = `SELECT ${storedOf(names)} FROM gathered`;
  await connection.run(`COPY (${select}) TO ${quote(into)} ${OPTIONS}`);
}

/** All fields in their order, numbers as doubles. */
function fieldList(): string {
  return FIELDS.map(({ name, kind }) =>
    kind === 'number'
      ? `"${name}"::DOUBLE`
      : kind === 'string'
        ? `"${name}"::VARCHAR`
        : `"${name}"`,
  ).join(', ');
}

/** Turns rows into columns, a chunk at a time. */
class Gatherer {
  readonly chunk: readonly ChunkColumn[];
  readonly #columns: readonly GatheredColumn[];
  readonly #views: readonly DataView[];
  readonly #rows: Iterator<RowSource>;

  constructor(columns: readonly GatheredColumn[], rows: Iterable<RowSource>) {
    this.#columns = columns;
    this.#rows = rows[Symbol.iterator]();
    this.chunk = columns.map(({ width }) => ({
      octets: new Uint8Array(CHUNK_ROWS * width),
      width,
      valid: new Uint8Array(CHUNK_ROWS / 8),
      texts: [],
      hasNulls: false,
    }));
    this.#views = this.chunk.map(({ octets }) => new DataView(octets.buffer));
  }

  /** @returns rows gathered, 0 at the end */
  next(): number {
    for (const column of this.chunk) {
      column.valid.fill(255);
      column.hasNulls = false;
    }
    let row = 0;
    for (; row < CHUNK_ROWS; row++) {
      const { done, value } = this.#rows.next();
      if (done) break;
      this.#take(row, value);
    }
    return row;
  }

  #take(row: number, source: RowSource): void {
    for (let i = 0; i < this.#columns.length; i++) {
      const { write, text, width } = this.#columns[i] as GatheredColumn;
      const column = this.chunk[i] as ChunkColumn;
      let has: boolean;
      if (write !== undefined) has = write(this.#views[i] as DataView, row * width, source);
      else {
        const said = text?.(source) ?? null;
        column.texts[row] = said;
        has = said !== null;
      }
      if (has) continue;
      column.hasNulls = true;
      column.valid[row >>> 3] = (column.valid[row >>> 3] as number) & ~(1 << (row & 7));
    }
  }
}
