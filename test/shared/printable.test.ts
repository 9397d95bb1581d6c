import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inert, inertCell, isPrintable, oneLine } from '../../shared/base/printable.js';

const anything = fc.string({ unit: 'binary', maxLength: 60 });
/** Half of a surrogate pair. */
const LONE = '\ud800';
/** Characters that move the cursor, or hide or reverse text. */
const HARMFUL = [
  '\u001b[2J',
  '\u0007',
  '\u009b',
  '\u202e',
  '\u2066',
  '\u200f',
  '\ufeff',
  '\u2028',
  LONE,
  '\r',
];

describe('untrusted text', () => {
  test('reaches a terminal without control sequences', () => {
    fc.assert(
      fc.property(anything, fc.constantFrom(...HARMFUL), anything, (before, harm, after) => {
        const shown = inert(before + harm + after);
        expect(isPrintable(shown)).toBe(true);
        expect(shown).not.toContain('\n');
        const whole = HARMFUL.filter((each) => each !== LONE);
        for (const each of whole) expect(shown).not.toContain(each);
      }),
    );
  });

  test('is unchanged if it is harmless', () => {
    for (const text of ['', 'mail of 3 May', 'Übermaß, 数値', 'a\\u001bb'])
      expect(inert(text)).toBe(text);
  });

  test('is never a formula in a spreadsheet, and numbers stay numbers', () => {
    fc.assert(
      fc.property(fc.constantFrom('=', '+', '-', '@', '\t', '\r'), anything, (first, rest) => {
        const cell = inertCell(`${first}${rest}`);
        const isNumber = /^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(cell);
        expect(isNumber || !/^[=+\-@\t\r]/.test(cell)).toBe(true);
      }),
    );
    expect(['-1', '+1.5', '-1e-9', '0'].map(inertCell)).toEqual(['-1', '+1.5', '-1e-9', '0']);
    expect(inertCell('=cmd()')).toBe("'=cmd()");
  });

  test('is cut to one line of limited length before it is passed on', () => {
    fc.assert(
      fc.property(anything, fc.integer({ min: 1, max: 40 }), (text, most) => {
        const line = oneLine(text, most);
        expect(line.length).toBeLessThanOrEqual(most);
        expect(isPrintable(line)).toBe(true);
      }),
    );
  });
});
