/** `transect query`: SQL over the stored rows, which are the table `results`. */
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import type { Command } from 'commander';
import { Fault } from '../../../shared/base/faults.js';
import { command, option } from '../../../shared/command/program.js';
import { addNatsOption, type NatsFlags } from '../connection.js';
import { formatTable, printOut } from '../print.js';
import { refusalOf, StoredRows } from './stored-rows.js';
import { withSurveyFiles } from './survey-files.js';

interface QueryFlags extends NatsFlags {
  readonly format: Format;
}

type Cell = string | number | boolean | null;
type Line = Readonly<Record<string, Cell>>;

const FORMATS = {
  table: (lines: readonly Line[]) =>
    formatTable(
      lines.map((line) =>
        mapValues(line, (cell) => (typeof cell === 'number' ? cell : text(cell))),
      ),
    ),
  csv: (lines: readonly Line[]) =>
    [Object.keys(lines[0] ?? {}), ...lines.map((line) => Object.values(line))]
      .map((cells) => cells.map((cell) => quoted(text(cell))).join(','))
      .join('\n'),
  ndjson: (lines: readonly Line[]) => lines.map((line) => JSON.stringify(line)).join('\n'),
} as const;

type Format = keyof typeof FORMATS;

export function queryCommand(): Command {
  const made = command('query', 'SQL (DuckDB) over the rows stored so far: the table is results');
  made.argument('<survey>', 'a survey, or the folder of one');
  made.argument('<sql>', 'SELECT classification, count(*) FROM results GROUP BY ALL');
  made.addOption(option('-O, --format <name>', 'table, csv or ndjson', parseFormat, 'table'));
  return addNatsOption(made).action(query);
}

async function query(name: string, sql: string, flags: QueryFlags): Promise<void> {
  await withSurveyFiles(flags, name, async ({ folder, survey }) => {
    const rows = new StoredRows(folder, survey.output);
    const ask = async (table: string, connection: DuckDBConnection) => {
      await connection.run(`CREATE TEMP VIEW results AS SELECT * FROM ${table}`);
      const reader = await connection.runAndReadAll(sql);
      return reader.getRowObjects().map((line) => mapValues(line, plain));
    };
    const lines = await rows.withTable(ask).catch((error: unknown) => {
      throw refusalOf(error, { value: sql });
    });
    if (lines.length > 0) printOut(FORMATS[flags.format](lines));
  });
}

/** Whole numbers up to 2^53 as numbers, everything else that is no plain value as text. */
function plain(value: DuckDBValue): Cell {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : `${value}`;
  }
  if (value === null || typeof value !== 'object') return value;
  return value.toString();
}

function mapValues<From, To>(
  line: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(line).map(([name, value]) => [name, map(value)]));
}

function text(cell: Cell): string {
  return cell === null ? '' : String(cell);
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function parseFormat(name: string): Format {
  if (Object.hasOwn(FORMATS, name)) return name as Format;
  const why = `no such format; there are: ${Object.keys(FORMATS).join(', ')}`;
  throw new Fault('BAD_OPTION', why, { value: name });
}
