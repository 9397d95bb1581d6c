/** What a sink is: a way to write rows as text and to read them back. One file each, one line here. */
import { Fault } from '../../shared/base/faults.js';
import { csv } from './csv.js';
import { ndjson } from './ndjson.js';
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

const SINKS: readonly Sink[] = [csv, ndjson];

/** @throws Fault BAD_OPTION that lists the names */
export function sinkNamed(name: string): Sink {
  const sink = SINKS.find((candidate) => candidate.name === name);
  if (sink !== undefined) return sink;
  const why = `no such output module; there are: ${SINKS.map((each) => each.name).join(', ')}`;
  throw new Fault('BAD_OPTION', why, { flag: '--output-module', value: name });
}
