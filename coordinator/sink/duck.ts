/**
 * DuckDB in this process, in memory, for writing and reading Parquet. Rows are passed as columns of raw
 * octets: passing single values takes five times as long (66 k instead of 315 k rows/s of 30 columns; 2
 * cores, 2026-11).
 */
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api';
import type duckdb from '@duckdb/node-bindings';
import type { Vector } from '@duckdb/node-bindings';
import { assert } from '../../shared/base/assert.js';

/** Rows per chunk of DuckDB. */
export const CHUNK_ROWS = 2048;
const SETTINGS = { threads: '1', memory_limit: '512MB' };

/** One column of a chunk. Texts are separate from the octets. */
export interface ChunkColumn {
  readonly octets: Uint8Array;
  /** Octets of a value; 0 for text. */
  readonly width: number;
  /** Bit n % 8 of octet n / 8: row n has a value; used if `hasNulls`. */
  readonly valid: Uint8Array;
  readonly texts: (string | null)[];
  hasNulls: boolean;
}

/**
 * Number of connections after which an instance is replaced; it is closed with the last of them. The reason
 * is that an instance never returns the memory of its allocator (some 300 MB after 400 segments, DuckDB
 * 1.5.6).
 */
const CONNECTIONS_PER_INSTANCE = 100;

type Bindings = typeof duckdb;

/** DuckDB's modules are loaded when they are first needed, because that takes 150 ms. */
export function duckdbApi(): Promise<typeof import('@duckdb/node-api')> {
  return import('@duckdb/node-api');
}

async function duckdbBindings(): Promise<Bindings> {
  return (await import('@duckdb/node-bindings')).default;
}

async function openInstance(): Promise<DuckDBInstance> {
  return await (await duckdbApi()).DuckDBInstance.create(':memory:', SETTINGS);
}

interface Duck {
  readonly opening: Promise<DuckDBInstance>;
  /** Connections ever opened, and those that are open. */
  connections: number;
  open: number;
}

let duck: Duck | undefined;

/** Calls `work` with a new connection, and closes the connection afterwards. */
export async function withDuck<Result>(
  work: (connection: DuckDBConnection) => Promise<Result>,
): Promise<Result> {
  const { connection, close } = await connect();
  try {
    return await work(connection);
  } finally {
    close();
  }
}

async function connect(): Promise<{ connection: DuckDBConnection; close: () => void }> {
  duck ??= { opening: openInstance(), connections: 0, open: 0 };
  const used = duck;
  used.open++;
  if (++used.connections === CONNECTIONS_PER_INSTANCE) duck = undefined;
  const leave = (instance: DuckDBInstance) => {
    used.open--;
    if (used.open === 0 && used.connections >= CONNECTIONS_PER_INSTANCE) instance.closeSync();
  };
  const instance = await used.opening;
  try {
    const connection = await instance.connect();
    const close = () => {
      connection.closeSync();
      leave(instance);
    };
    return { connection, close };
  } catch (error) {
    leave(instance);
    throw error;
  }
}

/** Appends rows to a table, a chunk at a time. */
export async function appendChunks(
  connection: DuckDBConnection,
  table: string,
  columns: readonly ChunkColumn[],
  /** Fills the columns with the next rows, at most CHUNK_ROWS. @returns the number of rows, 0 at the end */
  next: () => number,
): Promise<void> {
  const appender = await connection.createAppender(table);
  const types = Array.from({ length: appender.columnCount }, (_, i) => appender.columnType(i));
  const { DuckDBDataChunk } = await duckdbApi();
  const bindings = await duckdbBindings();
  const chunk = DuckDBDataChunk.create(types);
  try {
    for (let rows = next(); rows > 0; rows = next()) {
      bindings.data_chunk_reset(chunk.chunk);
      for (const [i, column] of columns.entries()) {
        fill(bindings, bindings.data_chunk_get_vector(chunk.chunk, i), column, rows);
      }
      bindings.data_chunk_set_size(chunk.chunk, rows);
      appender.appendDataChunk(chunk);
    }
  } finally {
    appender.closeSync();
  }
}

function fill(bindings: Bindings, vector: Vector, column: ChunkColumn, rows: number): void {
  const { octets, width, valid, texts, hasNulls } = column;
  const { buffer, byteOffset } = octets;
  if (width > 0)
    bindings.copy_data_to_vector(vector, 0, buffer as ArrayBuffer, byteOffset, rows * width);
  else {
    for (let row = 0; row < rows; row++) {
      const text = texts[row];
      if (text != null) bindings.vector_assign_string_element(vector, row, text);
    }
  }
  if (!hasNulls) return;
  const length = Math.ceil(rows / 64) * 8;
  bindings.vector_ensure_validity_writable(vector);
  bindings.copy_data_to_vector_validity(
    vector,
    0,
    valid.buffer as ArrayBuffer,
    valid.byteOffset,
    length,
  );
}

/**
 * The rows of a query without side effects, some thousands at a time. If a stream breaks, it seems to have no
 * more rows (DuckDB 1.5.6), so the rows are counted first.
 */
export async function* rowsOf(
  connection: DuckDBConnection,
  sql: string,
): AsyncGenerator<readonly (readonly DuckDBValue[])[]> {
  const counted = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM (${sql}\n)`);
  const expected = Number(counted.getRows()[0]?.[0]);
  const result = await connection.stream(sql);
  let rows = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    rows += chunk.rowCount;
    yield chunk.getRows();
  }
  assert(rows === expected, `a query returned ${rows} of ${expected} rows`);
}

/** The rows of a query, one by one, on a connection of its own. */
export async function* rowsOfQuery(sql: string): AsyncGenerator<readonly DuckDBValue[]> {
  const { connection, close } = await connect();
  try {
    for await (const rows of rowsOf(connection, sql)) yield* rows;
  } finally {
    close();
  }
}

/** Quotes a text for SQL. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
