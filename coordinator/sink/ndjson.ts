/** One JSON object per line: valid up to any line end, even after a crash. */
import { FIELDS, type Value } from './fields.js';
import type { TextFormat } from './sink.js';
import { columnTypes, textSink } from './text-sink.js';

const format: TextFormat = {
  header: () => '',
  line(row, fields, indices) {
    const object: Record<string, Value> = {};
    for (let i = 0; i < indices.length; i++) {
      object[fields[i] as string] = row[indices[i] as number] ?? null;
    }
    return `${JSON.stringify(object)}\n`;
  },
};

export const ndjson = textSink({
  name: 'ndjson',
  format,
  parse(line) {
    const object = JSON.parse(line) as Record<string, Value>;
    return FIELDS.map(({ name }) => object[name] ?? null);
  },
  table: (paths) =>
    `read_json([${paths}], format = 'newline_delimited', columns = ${columnTypes()})`,
});
