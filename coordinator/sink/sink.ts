/** What a sink is: a way to write rows as text and to read them back. */
import type { Row } from './row.js';

export interface Sink {
  readonly name: string;
  /** Of files, without the dot. */
  readonly extension: string;
  /** What stands above the first row; empty where nothing does. */
  header(fields: readonly string[]): string;
  /** One row as a line, its end included. `indices` say where the fields stand in the row. */
  line(row: Row, fields: readonly string[], indices: readonly number[]): string;
  /** Reads one line of a file that holds all fields; undefined for a header. */
  read(line: string): Row | undefined;
}
