/** One JSON object per line: valid up to any line end, however the writer died. */
import { FIELDS, type Value } from './row.js';
import type { Sink } from './sink.js';

export const ndjson: Sink = {
  name: 'ndjson',
  extension: 'ndjson',
  header: () => '',
  line(row, fields, indices) {
    const object: Record<string, Value> = {};
    for (let i = 0; i < indices.length; i++) {
      object[fields[i] as string] = row[indices[i] as number] ?? null;
    }
    return `${JSON.stringify(object)}\n`;
  },
  read(line) {
    const object = JSON.parse(line) as Record<string, Value>;
    return FIELDS.map(({ name }) => object[name] ?? null);
  },
};
