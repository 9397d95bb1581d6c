/**
 * Where a survey's rows are kept: one file per shard, named by the shard, written whole. A segment
 * that is there is complete; storing it again replaces it by the same.
 *
 *     DATA/<survey>/segments/000000042.csv      all fields, rows of one shard
 *     DATA/<survey>/manifest.json               what the survey asked, and what is complete
 *     DATA/<survey>/ledger.ndjson               for each shard: who probed it, when, with what count
 */
import { join } from 'node:path';
import type { Disk } from '../../shared/base/disk.js';
import { Fault } from '../../shared/base/faults.js';
import { sinkNamed } from './catalogue.js';
import { FIELDS, fieldIndices, type Row } from './row.js';
import type { Sink } from './sink.js';

const NUMBER_DIGITS = 9;
const CHUNK_ROWS = 4096;
const ALL_FIELDS = FIELDS.map(({ name }) => name);
const ALL_INDICES = fieldIndices(ALL_FIELDS);
const [POSITION = 0, CLASSIFICATION = 0] = fieldIndices(['position', 'classification']);

export class SegmentStore {
  readonly folder: string;
  readonly sink: Sink;
  readonly disk: Disk;

  constructor(folder: string, output: string, disk: Disk) {
    this.folder = folder;
    this.disk = disk;
    this.sink = sinkNamed(output);
  }

  /** Durable when it resolves. @throws Fault UNWRITABLE */
  async write(shard: number, rows: Iterable<Row>): Promise<void> {
    await this.disk.writeWhole(this.#file(shard), textOf(this.sink, rows, ALL_FIELDS, ALL_INDICES));
  }

  /** The shards that are stored, ascending. */
  async stored(): Promise<number[]> {
    const suffix = `.${this.sink.extension}`;
    const files = (await this.disk.list(this.#segments)).filter((file) => file.endsWith(suffix));
    return files.map((file) => Number.parseInt(file, 10)).sort((a, b) => a - b);
  }

  /** The octets of a segment. @throws Fault UNKNOWN_SURVEY where it is not stored */
  async bytes(shard: number): Promise<Buffer> {
    const bytes = await this.disk.read(this.#file(shard));
    if (bytes !== undefined) return bytes;
    throw new Fault('UNKNOWN_SURVEY', `shard ${shard} is not stored`);
  }

  /** The classification stored for a position; undefined where it has no row. */
  async rowAt(shard: number, position: number): Promise<string | undefined> {
    for (const row of rowsOf(this.sink, (await this.bytes(shard)).toString())) {
      if (row[POSITION] === position) return String(row[CLASSIFICATION]);
    }
    return undefined;
  }

  async countRows(shard: number): Promise<number> {
    let rows = 0;
    for (const _ of rowsOf(this.sink, (await this.bytes(shard)).toString())) rows++;
    return rows;
  }

  get #segments(): string {
    return join(this.folder, 'segments');
  }

  #file(shard: number): string {
    const number = String(shard).padStart(NUMBER_DIGITS, '0');
    return join(this.#segments, `${number}.${this.sink.extension}`);
  }
}

/** Rows as the text of a file, in chunks; the header first. */
function* textOf(
  sink: Sink,
  rows: Iterable<Row>,
  fields: readonly string[],
  indices: readonly number[],
): Generator<string> {
  let chunk = sink.header(fields);
  let inChunk = 0;
  for (const row of rows) {
    chunk += sink.line(row, fields, indices);
    if (++inChunk < CHUNK_ROWS) continue;
    yield chunk;
    chunk = '';
    inChunk = 0;
  }
  yield chunk;
}

/** The rows of a segment's text. */
export function* rowsOf(sink: Sink, text: string): Generator<Row> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end < 0 ? text.length : end);
    at = end < 0 ? text.length : end + 1;
    const row = line === '' ? undefined : sink.read(line);
    if (row !== undefined) yield row;
  }
}
