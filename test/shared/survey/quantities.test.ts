import { describe, expect, test } from 'vitest';
import {
  formatDuration,
  parseBandwidth,
  parseCount,
  parseDuration,
  parseRate,
} from '../../../shared/survey/quantities.js';

describe('quantities', () => {
  test.each([
    [parseRate, '1000', 1000],
    [parseRate, '20k', 20_000],
    [parseRate, '1.5M', 1_500_000],
    [parseRate, '0.1', 0.1],
    [parseBandwidth, '10M', 10_000_000],
    [parseDuration, '8s', 8000],
    [parseDuration, '8', 8000],
    [parseDuration, '500ms', 500],
    [parseDuration, '2m', 120_000],
    [parseDuration, '0s', 0],
    [parseCount, '20k', 20_000],
  ] as const)('are read by %o, for which %s is %d', (parse, text, value) => {
    expect(parse(text)).toBe(value);
  });

  test.each([
    [parseRate, '0'],
    [parseRate, '-1'],
    [parseRate, '1e3'],
    [parseRate, '10constructor'],
    [parseRate, 'fast'],
    [parseRate, '2G'],
    [parseBandwidth, '0'],
    [parseBandwidth, '10Mbit'],
    [parseDuration, 'soon'],
    [parseDuration, '-1s'],
    [parseCount, '0'],
    [parseCount, '1.5'],
  ] as const)('are refused by %o if written as %s', (parse, text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });

  test('that are durations are written in the largest fitting units', () => {
    expect([950, 12_340, 245_000, 12_000_000, 2e8].map(formatDuration)).toEqual([
      '950 ms',
      '12.3 s',
      '4 min 05 s',
      '3 h 20 min',
      '2 d 7 h',
    ]);
  });
});
