/** `transect results`: the rows of stored shards, in any of the formats, with any of the fields. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../../shared/base/clock.js';
import { systemDisk } from '../../../shared/base/disk.js';
import { Fault } from '../../../shared/base/faults.js';
import { command, option } from '../../../shared/command/program.js';
import { sinkNamed } from '../../sink/catalogue.js';
import { FIELDS, parseFields, type Value } from '../../sink/row.js';
import type { TextFormat } from '../../sink/sink.js';
import { addNatsOption, type NatsFlags } from '../connection.js';
import { printNote } from '../print.js';
import { type Selection, StoredRows } from './stored-rows.js';
import { withSurveyFiles } from './survey-files.js';

interface ResultsFlags extends NatsFlags {
  readonly outputFile?: string;
  readonly outputFields?: readonly string[];
  readonly outputModule?: string;
  readonly filter?: string;
  readonly follow?: boolean;
}

const FOLLOW_MILLIS = 1000;
const CHUNK_ROWS = 4096;

export function resultsCommand(): Command {
  const made = command('results', 'the rows stored so far');
  made.argument('<survey>', 'a survey, or the folder of one');
  const options = [
    option('-o, --output-file <file>', 'write to a file, whole, instead of stdout'),
    fieldsOption(),
    option('-O, --output-module <name>', 'csv (default), ndjson or parquet', (name) => {
      return sinkNamed(name).name;
    }),
    option('--filter <sql>', 'only rows for which this holds: sport = 443 AND ttl < 64'),
    option('--follow', 'go on with what is stored from now on, until the survey is over'),
  ];
  for (const each of options) made.addOption(each);
  return addNatsOption(made).action(results);
}

export function fieldsOption() {
  const names = FIELDS.map(({ name }) => name).join(' ');
  return option('-f, --output-fields <list>', `fields, or * for all: ${names}`, parseFields);
}

async function results(name: string, flags: ResultsFlags): Promise<void> {
  const { outputModule = 'csv', outputFile, filter, follow } = flags;
  const fields = flags.outputFields ?? ['saddr', 'sport', 'classification'];
  const format = textOf(outputModule, outputFile);
  if (follow && outputFile !== undefined) {
    const why = 'a file is written whole: follow to stdout, or leave --follow out';
    throw new Fault('BAD_OPTION', why, { flag: '--output-file', value: outputFile });
  }
  await withSurveyFiles(flags, name, async ({ folder, survey, refresh }) => {
    const rows = new StoredRows(folder, survey.output);
    const selection = { fields, filter };
    if (outputFile !== undefined) {
      await writeFile(rows, format, selection, resolve(outputFile));
      printNote(`the rows stored so far are in ${outputFile}`);
      return;
    }
    if (format === undefined) return;
    await writeOut(format.header(fields));
    for (;;) {
      const hasEnded = await refresh();
      for await (const text of linesOf(rows.fresh(selection), format, fields)) await writeOut(text);
      if (hasEnded || !follow) return;
      await systemClock.sleep(FOLLOW_MILLIS);
    }
  });
}

/** How rows are written to a pipe. @throws Fault BAD_OPTION where they cannot be */
function textOf(module: string, file: string | undefined): TextFormat | undefined {
  const { text } = sinkNamed(module);
  if (text !== undefined || file !== undefined) return text;
  const why = 'needs a file to write to: -o FILE';
  throw new Fault('BAD_OPTION', why, { flag: '--output-module', value: module });
}

/** Writes rows to a file, whole; as Parquet where there is no text format. @throws Fault UNWRITABLE */
export async function writeFile(
  rows: StoredRows,
  format: TextFormat | undefined,
  selection: Selection,
  file: string,
): Promise<void> {
  const { fields } = selection;
  if (format === undefined) return await rows.exportTo(file, selection);
  const text = async function* () {
    yield format.header(fields);
    yield* linesOf(rows.fresh(selection), format, fields);
  };
  await systemDisk.writeWhole(file, text());
}

async function* linesOf(
  rows: AsyncIterable<readonly Value[]>,
  format: TextFormat,
  fields: readonly string[],
): AsyncGenerator<string> {
  const indices = fields.map((_, i) => i);
  let text = '';
  let inText = 0;
  for await (const row of rows) {
    text += format.line(row, fields, indices);
    if (++inText < CHUNK_ROWS) continue;
    yield text;
    text = '';
    inText = 0;
  }
  if (text !== '') yield text;
}

function writeOut(text: string): Promise<void> {
  return new Promise((done, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : done()));
  });
}
