/** `transect results`: the rows of stored segments, in any of the formats, with any of the fields. */
import type { Command } from 'commander';
import { systemDisk } from '../../shared/base/disk.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Bus } from '../../shared/bus/ports.js';
import { command, option } from '../../shared/command/program.js';
import { sinkNamed } from '../sink/catalogue.js';
import { FIELDS, fieldIndices, parseFields } from '../sink/row.js';
import { rowsOf } from '../sink/segments.js';
import type { Sink } from '../sink/sink.js';
import { addNatsOption, type NatsFlags, withBus } from './connection.js';
import { printNote } from './print.js';

interface ResultsFlags extends NatsFlags {
  readonly outputFile?: string;
  readonly outputFields?: readonly string[];
  readonly outputModule?: string;
}

export interface RowFormat {
  readonly sink: Sink;
  readonly fields: readonly string[];
}

/** Where a survey's stored rows can be had, from a broker or from disk. */
export interface Segments {
  readonly sink: Sink;
  readonly shards: readonly number[];
  text(shard: number): Promise<string>;
}

export function resultsCommand(): Command {
  const made = command('results', 'the rows stored so far').argument('<survey>');
  return addNatsOption(made)
    .addOption(option('-o, --output-file <file>', 'write to a file instead of stdout'))
    .addOption(fieldsOption())
    .addOption(
      option(
        '-O, --output-module <name>',
        'csv (default) or ndjson',
        (name) => sinkNamed(name).name,
      ),
    )
    .action(results);
}

export function fieldsOption() {
  const names = FIELDS.map(({ name }) => name).join(' ');
  return option('-f, --output-fields <list>', `fields, or * for all: ${names}`, parseFields);
}

async function results(survey: string, flags: ResultsFlags): Promise<void> {
  await withBus(flags, async (bus) => {
    const segments = await remoteSegments(bus, survey);
    const fields = flags.outputFields ?? ['saddr', 'sport', 'classification'];
    const format = { sink: sinkNamed(flags.outputModule ?? segments.sink.name), fields };
    if (flags.outputFile !== undefined) {
      await systemDisk.writeWhole(flags.outputFile, formatRows(segments, format));
      printNote(`rows of ${segments.shards.length} shards are in ${flags.outputFile}`);
    } else {
      for await (const text of formatRows(segments, format)) await writeOut(text);
    }
  });
}

/** The rows as text, one header, shard after shard. */
export async function* formatRows(
  { sink: stored, shards, text }: Segments,
  { sink, fields }: RowFormat,
): AsyncGenerator<string> {
  const indices = fieldIndices(fields);
  yield sink.header(fields);
  for (const shard of shards) {
    let lines = '';
    for (const row of rowsOf(stored, await text(shard))) lines += sink.line(row, fields, indices);
    if (lines !== '') yield lines;
  }
}

async function remoteSegments(bus: Bus, name: string): Promise<Segments> {
  const { survey, shards, output } = await bus.control.ask('segments', { survey: name });
  const text = async (shard: number) => {
    const chunks: Uint8Array[] = [];
    for (let offset = 0; ; offset += LIMITS.chunkOctets) {
      const { chunk, total } = await bus.control.ask('segment', { survey, shard, offset });
      chunks.push(chunk);
      if (offset + chunk.length >= total) return Buffer.concat(chunks).toString();
    }
  };
  return { sink: sinkNamed(output), shards, text };
}

function writeOut(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
