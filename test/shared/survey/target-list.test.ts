import { describe, expect, test } from 'vitest';
import { composeTargets, parseEntry, parseList } from '../../../shared/survey/target-list.js';

const entries = (...texts: string[]) => texts.map((text) => parseEntry(text, 'TARGETS'));

describe('target lists', () => {
  test('have comments, blank lines and bare addresses, as ZMap’s have', () => {
    const list = parseList('# all of it\n10.0.0.0/8 # private\r\n\n 1.2.3.4\n', 'list');
    expect(list.map(({ range, place }) => [range.to - range.from, place.line])).toEqual([
      [2 ** 24, 2],
      [1, 4],
    ]);
  });

  test('name file, line and value of what they cannot read', () => {
    expect(() => parseList('10.0.0.0/8\n10.0.0.0/99\n', 'hosts.txt')).toThrow(
      expect.objectContaining({
        code: 'BAD_LIST',
        details: { file: 'hosts.txt', line: 2, value: '10.0.0.0/99' },
      }),
    );
  });

  test('let exclusions win, whatever the order', () => {
    const { ranges, excluded } = composeTargets(
      entries('1.0.0.0/24', '1.0.0.128/25'),
      entries('1.0.0.128/25'),
      [],
    );
    expect([ranges.size, excluded]).toEqual([128, 128]);
  });

  test('leave special-purpose addresses out of a larger range, and count them', () => {
    const { ranges, special } = composeTargets(entries('0.0.0.0/0'), [], []);
    expect(ranges.size).toBe(3_702_258_432);
    expect(special).toBe(2 ** 32 - 3_702_258_432);
  });

  test('refuse a special-purpose target that is not allowed by name', () => {
    expect(() => composeTargets(entries('127.77.0.0/16'), [], entries('10.0.0.0/8'))).toThrow(
      expect.objectContaining({
        code: 'SPECIAL_TARGETS',
        message: expect.stringContaining('--allow-special 127.77.0.0/16'),
      }),
    );
    const { ranges } = composeTargets(entries('127.77.0.0/16'), [], entries('127.0.0.0/8'));
    expect(ranges.size).toBe(65536);
  });
});
