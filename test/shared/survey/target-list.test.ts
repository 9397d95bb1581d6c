import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProbePort } from '../../../shared/net/ports.js';
import { parseBlock, type RuleList } from '../../../shared/survey/lists/rule-list.js';
import { parseTarget, type TargetList } from '../../../shared/survey/lists/target-list.js';
import { compose } from '../../../shared/survey/space/compose.js';
import { NO_LISTS, targetListOf } from '../../support/lists.js';

const composing = (targets: TargetList[], exclusions: RuleList[], allowSpecial: RuleList[]) =>
  compose({ ...NO_LISTS, targets, exclusions, allowSpecial, ports: [80] as ProbePort[] });
const entries = (...texts: string[]) => texts.map((text) => parseTarget(text, 'TARGETS'));
const blocks = (...texts: string[]) => texts.map((text) => parseBlock(text, '--exclude'));
/** Line and value of each range. */
const rangesIn = (list: TargetList) =>
  Array.from({ length: list.ranges.size }, (_, i) => {
    const { line, value } = list.locationOfRange(i);
    return [line, value];
  });

describe('target lists', () => {
  test('have comments, blank lines and bare addresses, as ZMap’s have', () => {
    const list = targetListOf('# all of it\n10.0.0.0/8 # private\r\n\n 1.2.3.4\n', 'list');
    expect(rangesIn(list)).toEqual([
      [2, '10.0.0.0/8'],
      [4, '1.2.3.4'],
    ]);
    expect(list.size).toBe(2 ** 24 + 1);
  });

  test('are refused with the file, line and value of an unreadable entry', () => {
    expect(() => targetListOf('10.0.0.0/8\n10.0.0.0/99\n', 'hosts.txt')).toThrow(
      expect.objectContaining({
        code: 'BAD_LIST',
        details: { file: 'hosts.txt', line: 2, value: '10.0.0.0/99' },
      }),
    );
  });

  test('may have several ranges on a line, separated by commas, as masscan’s have', () => {
    const list = targetListOf('10.0.0.0/8, 10.1.0.1-10.1.0.9,192.0.2.1 # three\n', 'list');
    expect(rangesIn(list)).toEqual([
      [1, '10.0.0.0/8'],
      [1, '10.1.0.1-10.1.0.9'],
      [1, '192.0.2.1'],
    ]);
    expect(() => targetListOf('10.0.0.0/8,,1.1.1.1\n', 'list')).toThrow(
      expect.objectContaining({ code: 'BAD_LIST', details: { file: 'list', line: 1, value: '' } }),
    );
  });

  test('are read, or refused with file and line, whatever they contain', () => {
    const piece = fc.constantFrom(
      '10.0.0.1',
      '/8',
      '-',
      ',',
      '#',
      '\n',
      '::1',
      '/64-70',
      '@low:2',
      ' ',
      'x',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 3 }))), (pieces) => {
        try {
          targetListOf(pieces.join(''), 'list');
        } catch (error) {
          const { code, details } = error as {
            code: string;
            details: { file: string; line: number };
          };
          expect([code, details.file]).toEqual(['BAD_LIST', 'list']);
          expect(pieces.join('').split('\n')[details.line - 1]).toBeDefined();
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('give exclusions precedence, in any order', () => {
    const { space, exclusions } = composing(
      entries('1.0.0.0/24', '1.0.0.128/25'),
      blocks('1.0.0.128/25'),
      [],
    );
    expect(space.size).toBe(128);
    expect(exclusions).toEqual([{ reason: '--exclude', addresses: 128 }]);
  });

  test('leave special-purpose addresses out of a larger range, and count them', () => {
    const { space, exclusions } = composing(entries('0.0.0.0/0'), [], []);
    expect(space.size).toBe(3_702_258_432);
    const left = exclusions.reduce((sum, { addresses }) => sum + addresses, 0);
    expect(left).toBe(2 ** 32 - 3_702_258_432);
    expect(exclusions).toHaveLength(15);
  });

  test('refuse a special-purpose target that is not allowed explicitly', () => {
    expect(() => composing(entries('127.77.0.0/16'), [], blocks('10.0.0.0/8'))).toThrow(
      expect.objectContaining({
        code: 'SPECIAL_TARGETS',
        message: expect.stringContaining('--allow-special 127.77.0.0/16'),
      }),
    );
    const { space } = composing(entries('127.77.0.0/16'), [], blocks('127.0.0.0/8'));
    expect(space.size).toBe(65536);
  });
});
