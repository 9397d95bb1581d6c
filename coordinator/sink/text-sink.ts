/** A sink that writes one line per row: valid up to any line end, even after a crash. */
import type { Disk } from '../../shared/host/disk.js';
import { fieldIndices } from './field-selection.js';
import { FIELDS, type Row, rowOf } from './fields.js';
import type { Sink, TextFormat } from './sink.js';

const CHUNK_ROWS = 4096;
const ALL_FIELDS = FIELDS.map(({ name }) => name);
const ALL_INDICES = fieldIndices(ALL_FIELDS);
const [POSITION = 0] = fieldIndices(['position']);

export interface TextSinkOptions {
  readonly name: string;
  readonly format: TextFormat;
  /** Parses one line of a file whose lines have all fields; returns undefined for a header. */
  readonly parse: (line: string) => Row | undefined;
  readonly table: (paths: string) => string;
}

export function textSink({ name, format, parse, table }: TextSinkOptions): Sink {
  const read = async function* (disk: Disk, file: string, only?: number): AsyncGenerator<Row> {
    for await (const line of disk.lines(file)) {
      const row = line === '' ? undefined : parse(line);
      if (row !== undefined && (only === undefined || row[POSITION] === only)) yield row;
    }
  };
  return {
    name,
    text: format,
    table,
    read,
    async write(disk, file, sources) {
      const rows = async function* () {
        for (const source of sources) yield rowOf(source);
      };
      await disk.writeWhole(file, chunksOf(format, rows(), ALL_FIELDS));
    },
    async merge(disk, files, into) {
      const rows = async function* () {
        for (const file of files) yield* read(disk, file);
      };
      await disk.writeWhole(into, chunksOf(format, rows(), ALL_FIELDS));
    },
  };
}

const SQL_TYPES = { string: 'VARCHAR', number: 'DOUBLE', boolean: 'BOOLEAN' } as const;

/** The columns of text files, in DuckDB's syntax. */
export function columnTypes(): string {
  return `{${FIELDS.map(({ name, kind }) => `'${name}': '${SQL_TYPES[kind]}'`).join(', ')}}`;
}

/** Rows as text, in chunks; the header first. */
async function* chunksOf(
  format: TextFormat,
  rows: AsyncIterable<Row>,
  fields: readonly string[],
): AsyncGenerator<string> {
  const indices = fields === ALL_FIELDS ? ALL_INDICES : fieldIndices(fields);
  let chunk = format.header(fields);
  let inChunk = 0;
  for await (const row of rows) {
    chunk += format.line(row, fields, indices);
    if (++inChunk < CHUNK_ROWS) continue;
    yield chunk;
    chunk = '';
    inChunk = 0;
  }
  yield chunk;
}
