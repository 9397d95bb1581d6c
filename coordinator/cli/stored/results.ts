/** `transect results`: the rows of stored shards, in any format, with any fields. */
import type { Command } from 'commander';
import { systemClock } from '../../../shared/base/clock.js';
import { Fault } from '../../../shared/base/faults.js';
import { writeOut } from '../../../shared/command/output.js';
import { command, option } from '../../../shared/command/program.js';
import { ALIAS_FIELDS } from '../../sink/alias-fields.js';
import { parseFields, storedFields, withAliasFields } from '../../sink/field-selection.js';
import { FIELDS, type Value } from '../../sink/fields.js';
import { parseStoredFilter, type RowFilter } from '../../sink/row-filter.js';
import type { TextFormat } from '../../sink/sink.js';
import { SINK_NAMES, sinkNamed } from '../../sink/sink-registry.js';
import { type OutputFile, openOutput } from '../output/output-file.js';
import { printNote } from '../output/print.js';
import { addBrokerOptions, type BrokerFlags } from '../with-bus.js';
import { type Selection, StoredRows } from './stored-rows.js';
import { withSurveyFiles } from './survey-files.js';

interface ResultsFlags extends BrokerFlags {
  readonly outputFile?: string;
  readonly outputFields?: readonly string[];
  readonly outputModule?: string;
  readonly filter?: RowFilter;
  readonly follow?: boolean;
  readonly headerRow: boolean;
}

/** Which rows are written, and how. */
export interface Writing extends Selection {
  /** Undefined for Parquet. */
  readonly format: TextFormat | undefined;
  readonly hasHeader: boolean;
  readonly rowsMax?: number | undefined;
}

const FOLLOW_MILLIS = 1000;
const CHUNK_ROWS = 4096;

export function resultsCommand(): Command {
  const made = command('results', 'print or write the stored rows');
  made.argument('<survey>', 'a survey, or the folder of one');
  const options = [
    option(
      '-o, --output-file <file>',
      'file to write; it replaces an existing file once it is complete; - is stdout',
    ),
    fieldsOption(),
    headerOption(),
    option('-O, --output-module <name>', `${SINK_NAMES.join(', ')} (default: csv)`, (name) => {
      return sinkNamed(name).name;
    }),
    option(
      '--filter <condition>',
      'print only rows that meet a condition, in SQL (sport = 443 AND ttl < 64) ' +
        'or in ZMap’s language (sport = 443 && ttl < 64)',
      parseStoredFilter,
    ),
    option('--follow', 'continue with rows as they are stored, until the survey is over'),
  ];
  for (const each of options) made.addOption(each);
  return addBrokerOptions(made).action(results);
}

export function fieldsOption() {
  const names = [...FIELDS, ...ALIAS_FIELDS].map(({ name }) => name).join(' ');
  const about = `names of fields, separated by commas (*: all fields; blank: an empty column): ${names}`;
  return option('-f, --output-fields <list>', about, parseFields);
}

export function headerOption() {
  return option('--no-header-row', 'omit the csv header');
}

async function results(name: string, flags: ResultsFlags): Promise<void> {
  const { outputModule = 'csv', outputFile, filter, follow, headerRow } = flags;
  const format = textOf(outputModule, outputFile);
  if (follow && outputFile !== undefined && outputFile !== '-') {
    const reason = '--follow works only with stdout, because a file is written at the end';
    throw new Fault('BAD_OPTION', reason, { flag: '--output-file', value: outputFile });
  }
  const output = await openOutput(outputFile ?? '-');
  await withSurveyFiles(flags, name, async ({ folder, survey, refresh }) => {
    const rows = new StoredRows(folder, survey);
    const { size: probes } = new Set(survey.probes.map(({ name }) => name));
    const hasAliasTests = survey.aliasLengths.length > 0;
    if (hasAliasTests && follow) {
      const reason = 'the fields alias_votes and aliased are known only at the end of the survey';
      throw new Fault('BAD_OPTION', reason, { flag: '--follow' });
    }
    const chosen = flags.outputFields ?? storedFields(probes, hasAliasTests);
    const fields = withAliasFields(chosen, hasAliasTests);
    const writing = { format, fields, filter: filter?.sql, hasHeader: headerRow };
    if (!output.isStdout || format === undefined) {
      await writeRows(rows, writing, output);
      if (!output.isStdout) printNote(`the rows stored so far are in ${output.name}`);
      return;
    }
    if (headerRow) await writeOut(format.header(fields));
    for (;;) {
      const hasEnded = await refresh();
      for await (const text of textOfRows(rows, writing, format)) await writeOut(text);
      if (hasEnded || !follow) return;
      await systemClock.sleep(FOLLOW_MILLIS);
    }
  });
}

/** The format of rows in a pipe; undefined for Parquet, which needs a file. @throws Fault BAD_OPTION */
function textOf(module: string, file: string | undefined): TextFormat | undefined {
  const { text } = sinkNamed(module);
  if (text !== undefined || file !== undefined) return text;
  const reason = 'needs a file to write to: -o FILE, or -o - for stdout';
  throw new Fault('BAD_OPTION', reason, { flag: '--output-module', value: module });
}

/** Writes all rows; as Parquet if there is no text format. @throws Fault UNWRITABLE */
export async function writeRows(
  rows: StoredRows,
  writing: Writing,
  output: OutputFile,
): Promise<void> {
  const { format, fields, hasHeader } = writing;
  if (format === undefined) return await output.make((path) => rows.exportTo(path, writing));
  const text = async function* () {
    if (hasHeader) yield format.header(fields);
    yield* textOfRows(rows, writing, format);
  };
  await output.write(text());
}

/** The rows that have not been read yet, as text, many at a time. */
async function* textOfRows(
  rows: StoredRows,
  { fields, filter, rowsMax = Number.POSITIVE_INFINITY }: Writing,
  format: TextFormat,
): AsyncGenerator<string> {
  const indices = fields.map((_, i) => i);
  let text = '';
  let inText = 0;
  let written = 0;
  const source: AsyncIterable<readonly Value[]> = rows.fresh({ fields, filter });
  for await (const row of source) {
    if (written++ >= rowsMax) break;
    text += format.line(row, fields, indices);
    if (++inText < CHUNK_ROWS) continue;
    yield text;
    text = '';
    inText = 0;
  }
  if (text !== '') yield text;
}
