import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Range, Ranges } from '../../../shared/net/ranges.js';
import { SPECIAL } from '../../../shared/survey/policy/special-purpose-registry.js';

const UNIVERSE = 64;
const anyRange = fc
  .tuple(fc.integer({ min: 0, max: UNIVERSE - 1 }), fc.integer({ min: 1, max: 12 }))
  .map(([from, length]): Range => ({ from, to: Math.min(UNIVERSE, from + length) }));
const anyRanges = fc.array(anyRange, { maxLength: 12 });

const members = (ranges: Iterable<Range>) => {
  const set = new Set<number>();
  for (const { from, to } of ranges) for (let i = from; i < to; i++) set.add(i);
  return set;
};
const sorted = (set: Iterable<number>) => [...set].sort((a, b) => a - b);

describe('a set of ranges', () => {
  test('is the union of its parts, sorted, disjoint and not adjacent', () => {
    fc.assert(
      fc.property(anyRanges, (given) => {
        const ranges = Ranges.of(given);
        expect(sorted(members(ranges))).toEqual(sorted(members(given)));
        expect(ranges.size).toBe(members(given).size);
        const list = [...ranges];
        for (let i = 1; i < list.length; i++)
          expect(list[i]!.from).toBeGreaterThan(list[i - 1]!.to);
      }),
    );
  });

  test('subtracts and intersects like the set of its members', () => {
    fc.assert(
      fc.property(anyRanges, anyRanges, (a, b) => {
        const [left, right] = [members(a), members(b)];
        const without = [...left].filter((i) => !right.has(i));
        const within = [...left].filter((i) => right.has(i));
        expect(sorted(members(Ranges.of(a).subtract(Ranges.of(b))))).toEqual(sorted(without));
        expect(sorted(members(Ranges.of(a).intersect(Ranges.of(b))))).toEqual(sorted(within));
        expect([...Ranges.of(a).union(Ranges.of(b))]).toEqual([...Ranges.of([...a, ...b])]);
        const [first] = Ranges.of(a).subtract(Ranges.of(b));
        expect(Ranges.of(a).firstOutside(Ranges.of(b))).toEqual(first);
      }),
    );
  });

  test('contains exactly its members', () => {
    fc.assert(
      fc.property(anyRanges, (given) => {
        const ranges = Ranges.of(given);
        const set = members(given);
        for (let i = 0; i < UNIVERSE; i++) expect(ranges.contains(i)).toBe(set.has(i));
      }),
    );
  });

  test('may include the last IPv4 address', () => {
    const all = Ranges.of([{ from: 0, to: 2 ** 32 }]);
    expect(all.size).toBe(2 ** 32);
    expect(all.contains(2 ** 32 - 1)).toBe(true);
    expect(all.subtract(SPECIAL).size).toBe(3_702_258_432);
  });
});
