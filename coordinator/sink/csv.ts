/** Comma-separated values (RFC 4180) as ZMap writes them: a header, booleans as 1 and 0. */
import { inertCell } from '../../shared/base/printable.js';
import { FIELDS, type Row, type Value } from './fields.js';
import type { TextFormat } from './sink.js';
import { columnTypes, textSink } from './text-sink.js';

const format: TextFormat = {
  header: (fields) => `${fields.join(',')}\n`,
  line(row, _fields, indices) {
    let line = '';
    for (let i = 0; i < indices.length; i++) {
      line += (i === 0 ? '' : ',') + write(row[indices[i] as number] ?? null);
    }
    return `${line}\n`;
  },
};

export const csv = textSink({
  name: 'csv',
  format,
  parse(line) {
    const cells = split(line);
    if (cells[0] === FIELDS[0]?.name) return undefined;
    return FIELDS.map((field, i): Value => readCell(cells[i] ?? '', field.kind)) satisfies Row;
  },
  table: (paths) => `read_csv([${paths}], header = true, columns = ${columnTypes()})`,
});

function write(value: Value): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? '1' : '0';
  const text = typeof value === 'string' ? inertCell(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function readCell(cell: string, kind: 'string' | 'number' | 'boolean'): Value {
  if (cell === '') return null;
  if (kind === 'number') return Number(cell);
  return kind === 'boolean' ? cell === '1' : cell;
}

/**
 * Splits one line; quoted cells may contain commas and doubled quotes, but no line ends, which we never
 * write.
 */
function split(line: string): string[] {
  if (!line.includes('"')) return line.split(',');
  const cells: string[] = [];
  for (let at = 0; at <= line.length; ) {
    const isQuoted = line[at] === '"';
    const end = isQuoted ? closingQuote(line, at) + 1 : line.indexOf(',', at);
    const cell = line.slice(at, end < 0 ? line.length : end);
    cells.push(isQuoted ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    at = end < 0 ? line.length + 1 : end + 1;
  }
  return cells;
}

/** Index of the quote that closes the one at `at`: the next one that is not doubled. */
function closingQuote(line: string, at: number): number {
  for (let quote = line.indexOf('"', at + 1); quote >= 0; quote = line.indexOf('"', quote + 2)) {
    if (line[quote + 1] !== '"') return quote;
  }
  return line.length;
}
