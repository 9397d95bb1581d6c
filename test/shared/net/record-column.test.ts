import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinRecords, RecordColumn, sortRecords } from '../../../shared/net/record-column.js';

const word = fc.oneof(fc.nat({ max: 3 }), fc.integer({ min: 0, max: 0xffffffff }));

test('records are sorted by their keys, and equal keys keep their order', () => {
  const shape = fc.record({
    width: fc.constantFrom(1, 2, 4, 5, 8),
    keys: fc.nat({ max: 4 }),
    words: fc.array(word, { maxLength: 400 }),
  });
  fc.assert(
    fc.property(shape, ({ width, keys: wanted, words }) => {
      const keys = Math.min(width, wanted);
      const count = Math.floor(words.length / width);
      const rows = Array.from({ length: count }, (_, i) => words.slice(i * width, (i + 1) * width));
      const sorted = sortRecords(Uint32Array.from(rows.flat()), width, keys);
      const order = (a: number[], b: number[]) => {
        const i = a.findIndex((each, k) => k < keys && each !== b[k]);
        return i < 0 ? 0 : (a[i] as number) - (b[i] as number);
      };
      expect([...sorted]).toEqual(rows.toSorted(order).flat());
    }),
    { numRuns: 1000 },
  );
});

test('a column has the records in the order in which they were added, however many', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(word, word, word, word, word), { maxLength: 100 }), (rows) => {
      for (const width of [1, 2, 4, 5]) {
        const [pushed, appended] = [new RecordColumn(width), new RecordColumn(width)];
        for (const row of rows) {
          pushed.push(...row);
          appended.append(row.slice(0, width));
        }
        const expected = rows.flatMap((row) => row.slice(0, width));
        expect([...pushed.words]).toEqual(expected);
        expect([...appended.words]).toEqual(expected);
        expect(pushed.size).toBe(rows.length);
        expect([...joinRecords([pushed.words, appended.words])]).toEqual([
          ...expected,
          ...expected,
        ]);
      }
    }),
  );
});
