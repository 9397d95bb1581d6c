import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withDuck } from '../../coordinator/sink/duck.js';
import { FIELDS, type Row, type Value } from '../../coordinator/sink/fields.js';
import { parseOutputFilter, parseStoredFilter } from '../../coordinator/sink/row-filter.js';

const rowWith = (values: Record<string, Value>): Row =>
  FIELDS.map(({ name }) => values[name] ?? null);
const SYNACK = rowWith({
  classification: 'synack',
  success: true,
  repeat: false,
  ttl: 57,
  sport: 443,
});
const RST = rowWith({ classification: 'rst', success: false, repeat: false, ttl: 120, sport: 80 });
const ICMP = rowWith({ classification: 'icmp', success: false, icmp_type: 3, sport: 80 });

describe('a filter in ZMap’s language', () => {
  test.each([
    ['success = 1 && repeat = 0', [true, false, false]],
    ['success=1', [true, false, false]],
    ['success != 1 || ttl < 64', [true, true, true]],
    ['classification = rst', [false, true, false]],
    ['classification = "rst" || classification = icmp', [false, true, true]],
    ['(ttl >= 57 && ttl <= 57) || icmp_type = 3', [true, false, true]],
    ['ttl > 100', [false, true, false]],
    ['ttl != 57', [false, true, false]], // no ttl, no row: as in SQL
    ['sport = 80 && (success = 1 || classification = icmp)', [false, false, true]],
    ['success = true', [true, false, false]],
  ])('%s', (text, expected) => {
    const { test: matches } = parseOutputFilter(text);
    expect([SYNACK, RST, ICMP].map((row) => matches?.(row))).toEqual(expected);
  });

  test.each([
    'sport = 443 AND ttl < 64',
    'ttl BETWEEN 1 AND 9',
    'success',
    "saddr LIKE '198.%'",
    'saddr = icmp_responder',
    'sport != dport',
    "timestamp_str > '2026-01-01'",
  ])('is not %s, which is taken for SQL', (text) => {
    expect(parseOutputFilter(text)).toEqual({ test: undefined, sql: text });
    expect(parseStoredFilter(text)).toEqual({ test: undefined, sql: text });
  });

  test.each(['rtt_us > 100', 'SPORT = 443', 'saddr_bytes = 1'])(
    'is not %s for stored rows, because that text is taken for SQL over the stored columns',
    (text) => {
      expect(parseStoredFilter(text)).toEqual({ test: undefined, sql: text });
      expect(() => parseOutputFilter(text)).toThrow(/no such field/);
    },
  );

  test('names no flag in its errors, since two commands take it', () => {
    for (const parse of [parseOutputFilter, parseStoredFilter]) {
      const fault = expect.objectContaining({ details: { value: 'x' } });
      expect(() => parse('ttl = x')).toThrow(fault);
    }
  });

  test.each([
    ['sport2 = 80', /no such field/],
    ['sport = http', /is a number/],
    ['success = 2', /is 1 or 0/],
    [`${'('.repeat(101)}ttl = 1${')'.repeat(101)}`, /too many parentheses/],
  ])('%s is refused', (text, reason) => {
    expect(() => parseOutputFilter(text)).toThrow(reason);
  });

  test('never throws anything but a BAD_OPTION, whatever the text', () => {
    const piece = fc.constantFrom(
      '(',
      ')',
      '&&',
      '||',
      '=',
      '<',
      'ttl',
      'success',
      '1',
      '"x"',
      "'",
      ' ',
      'é',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        try {
          parseOutputFilter(pieces.join(''));
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_OPTION' });
        }
      }),
    );
  });

  test('selects the same rows whether it is run as SQL or applied to each row', async () => {
    const atom = fc.constantFrom(
      'ttl < 60',
      'ttl != 57',
      'success = 0',
      'classification = rst',
      'icmp_type >= 3',
    );
    const { both } = fc.letrec((tie) => ({
      both: fc.oneof(
        { depthSize: 'small' },
        atom,
        fc
          .tuple(tie('both'), fc.constantFrom('&&', '||'), tie('both'))
          .map((parts) => `(${parts.join(' ')})`),
      ),
    }));
    const literal = (value: Value) =>
      value === null ? 'NULL' : typeof value === 'string' ? `'${value}'` : String(value);
    const names = ['classification', 'success', 'ttl', 'icmp_type'];
    const rows = [SYNACK, RST, ICMP];
    const cells = rows.map((row, i) => {
      const values = names.map((name) =>
        literal(row[FIELDS.findIndex((f) => f.name === name)] ?? null),
      );
      return `(${i}, ${values.join(', ')})`;
    });
    await withDuck(async (duck) => {
      await duck.run(
        'CREATE OR REPLACE TEMP TABLE t (i INTEGER, classification VARCHAR, success BOOLEAN, ttl INTEGER, icmp_type INTEGER)',
      );
      await duck.run(`INSERT INTO t VALUES ${cells.join(', ')}`);
      await fc.assert(
        fc.asyncProperty(both as fc.Arbitrary<string>, async (text) => {
          const filter = parseOutputFilter(text);
          const found = await duck.runAndReadAll(`SELECT i FROM t WHERE ${filter.sql} ORDER BY i`);
          const chosen = rows.flatMap((row, i) => (filter.test?.(row) ? [i] : []));
          expect(found.getRows().map(([i]) => i)).toEqual(chosen);
        }),
        { numRuns: 60 },
      );
    });
  });
});
