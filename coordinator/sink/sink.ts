/**
 * A sink stores the rows of a shard as one file, reads them back, and merges files. Text sinks can also write
 * to a pipe.
 */
import type { Disk } from '../../shared/host/disk.js';
import type { Row } from './fields.js';
import type { RowSource } from './row-source.js';

/** One line per row. */
export interface TextFormat {
  /** Precedes the first row; may be empty. */
  header(fields: readonly string[]): string;
  /** One row as a line, with its line end. `indices` are the positions of the fields in the row. */
  line(row: Row, fields: readonly string[], indices: readonly number[]): string;
}

export interface Sink {
  /** Also the extension of its files. */
  readonly name: string;
  /** The text format; undefined if rows cannot be written to a pipe. */
  readonly text: TextFormat | undefined;
  /**
   * Writes rows to a file, which is durable once the promise resolves. `rows` yields the same object for each
   * row.
   * @throws Fault UNWRITABLE
   */
  write(disk: Disk, file: string, rows: Iterable<RowSource>): Promise<void>;
  /**
   * The rows of a file, with all fields, in the order in which they were written. If `position` is given,
   * only the rows of that position.
   */
  read(disk: Disk, file: string, position?: number): AsyncIterable<Row>;
  /** Writes all rows of some files, in order, as one file, which is durable once the promise resolves. */
  merge(disk: Disk, files: readonly string[], into: string): Promise<void>;
  /** An SQL table expression of DuckDB over a list of quoted paths. */
  table(paths: string): string;
}
