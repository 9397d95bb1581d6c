/** The sink registry: all sinks. Adding one takes a file and a line here. */
import { Fault } from '../../shared/base/faults.js';
import { csv } from './csv.js';
import { ndjson } from './ndjson.js';
import { parquet } from './parquet.js';
import type { Sink } from './sink.js';

const SINKS: readonly Sink[] = [parquet, csv, ndjson];

export const SINK_NAMES: readonly string[] = SINKS.map(({ name }) => name);

/** @throws Fault BAD_OPTION that lists the names */
export function sinkNamed(name: string): Sink {
  const sink = SINKS.find((candidate) => candidate.name === name);
  if (sink !== undefined) return sink;
  const reason = `no such output module; there are: ${SINK_NAMES.join(', ')}`;
  throw new Fault('BAD_OPTION', reason, { flag: '--output-module', value: name });
}
