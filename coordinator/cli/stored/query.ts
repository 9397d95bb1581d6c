/** `transect query`: SQL over the stored rows, which are the table `results`. */
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import type { Command } from 'commander';
import { Fault } from '../../../shared/base/faults.js';
import { inert, inertCell } from '../../../shared/base/printable.js';
import { writeOut } from '../../../shared/command/output.js';
import { command, option } from '../../../shared/command/program.js';
import { rowsOf } from '../../sink/duck.js';
import { Table } from '../output/print.js';
import { addBrokerOptions, type BrokerFlags } from '../with-bus.js';
import { refuseWriting } from './locked-duck.js';
import { refusalOf, StoredRows } from './stored-rows.js';
import { withSurveyFiles } from './survey-files.js';

interface QueryFlags extends BrokerFlags {
  readonly format: FormatName;
  readonly unsafe?: boolean;
}

type Cell = string | number | boolean | null;

/** Formats rows that come in parts. */
interface Format {
  header(): string;
  lines(rows: readonly (readonly Cell[])[]): string;
}

const FORMATS = {
  table: (names: readonly string[]): Format => {
    const table = new Table(names);
    return { header: () => '', lines: (rows) => table.lines(rows) };
  },
  csv: (names: readonly string[]): Format => ({
    header: () => csvLine(names),
    lines: (rows) => rows.map(csvLine).join(''),
  }),
  ndjson: (names: readonly string[]): Format => ({
    header: () => '',
    lines: (rows) => rows.map((row) => `${inert(JSON.stringify(objectOf(names, row)))}\n`).join(''),
  }),
} as const;

type FormatName = keyof typeof FORMATS;

export function queryCommand(): Command {
  const made = command(
    'query',
    'run SQL (DuckDB) on the stored rows, which are the table `results`',
  );
  made.argument('<survey>', 'a survey, or the folder of one');
  made.argument('<sql>', 'SELECT classification, count(*) FROM results GROUP BY ALL');
  made.addOption(option('-O, --format <name>', 'table, csv or ndjson', parseFormat, 'table'));
  made.addOption(
    option(
      '--unsafe',
      'allow the statement to use files, the network and extensions, and allow several statements',
    ),
  );
  return addBrokerOptions(made).action(query);
}

async function query(name: string, sql: string, flags: QueryFlags): Promise<void> {
  await withSurveyFiles(flags, name, async ({ folder, survey }) => {
    const rows = new StoredRows(folder, survey);
    const ask = async (connection: DuckDBConnection) => {
      const answer = await (flags.unsafe ? askFreely : askSafely)(connection, sql);
      const format = FORMATS[flags.format](answer.names);
      const header = format.header();
      if (header !== '') await writeOut(header);
      let hasRows = false;
      for await (const some of answer.rows) {
        hasRows = true;
        await writeOut(format.lines(some.map((row) => row.map(plain))));
      }
      if (!hasRows) await writeOut(format.lines([]));
    };
    await rows.withTable(ask, { isUnsafe: flags.unsafe }).catch((error: unknown) => {
      throw refusalOf(error, { value: sql });
    });
  });
}

interface Answer {
  readonly names: readonly string[];
  readonly rows: AsyncIterable<readonly (readonly DuckDBValue[])[]>;
}

/** The answer, which may be larger than memory, is stored in a table first, and read from there. */
async function askSafely(connection: DuckDBConnection, sql: string): Promise<Answer> {
  await refuseWriting(connection, sql, { value: sql });
  if (/^\s*explain\b/i.test(sql)) return await askFreely(connection, sql);
  await connection.run(`CREATE TEMP TABLE answer AS (${sql.replace(/;\s*$/, '')}\n)`);
  const described = await connection.runAndReadAll('SELECT * FROM answer LIMIT 0');
  return { names: described.columnNames(), rows: rowsOf(connection, 'SELECT * FROM answer') };
}

async function askFreely(connection: DuckDBConnection, sql: string): Promise<Answer> {
  const result = await connection.run(sql);
  const rows = async function* () {
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      yield chunk.getRows();
    }
  };
  return { names: result.columnNames(), rows: rows() };
}

/** Whole numbers below 2^53 as numbers; larger ones, and values that DuckDB gives as objects, as text. */
function plain(value: DuckDBValue): Cell {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : `${value}`;
  }
  if (value === null || typeof value !== 'object') return value;
  return value.toString();
}

function csvLine(cells: readonly Cell[]): string {
  return `${cells.map((cell) => quoted(inertCell(inert(cell === null ? '' : String(cell))))).join(',')}\n`;
}

/** Without a prototype: a column may be called `__proto__`. */
function objectOf(names: readonly string[], row: readonly Cell[]): object {
  const object: Record<string, Cell> = Object.create(null);
  for (const [i, name] of names.entries()) object[name] = row[i] ?? null;
  return object;
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function parseFormat(name: string): FormatName {
  if (Object.hasOwn(FORMATS, name)) return name as FormatName;
  const reason = `no such format; there are: ${Object.keys(FORMATS).join(', ')}`;
  throw new Fault('BAD_OPTION', reason, { value: name });
}
