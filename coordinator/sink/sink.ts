/**
 * What a sink is: a way to keep the rows of a shard as one file, to read them back, and to make one
 * file of many. Sinks that write text can also write to a pipe.
 */
import type { Disk } from '../../shared/host/disk.js';
import type { Row, RowSource } from './row.js';

/** One line per row. */
export interface TextFormat {
  /** What stands above the first row; empty where nothing does. */
  header(fields: readonly string[]): string;
  /** One row as a line, its end included. `indices` say where the fields stand in the row. */
  line(row: Row, fields: readonly string[], indices: readonly number[]): string;
}

export interface Sink {
  readonly name: string;
  /** Of files, without the dot. */
  readonly extension: string;
  /** How rows look in a pipe; undefined where they cannot be written to one. */
  readonly text: TextFormat | undefined;
  /** Durable when it resolves. The source is the same object for each row. @throws Fault UNWRITABLE */
  write(disk: Disk, file: string, rows: Iterable<RowSource>): Promise<void>;
  /** The rows of a file, all fields, in the order they were written; or those of one position. */
  read(disk: Disk, file: string, position?: number): AsyncIterable<Row>;
  /** Writes all rows of some files, in their order, as one. Durable when it resolves. */
  merge(disk: Disk, files: readonly string[], into: string): Promise<void>;
  /** How DuckDB reads files of it: an SQL table expression over a list of quoted paths. */
  table(paths: string): string;
}
