/** The contract of every permutation. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Position, TargetIndex } from '../../../shared/base/brand.js';
import type { Permutation } from '../../../shared/permutation/permutation.js';

export function permutationContract(
  name: string,
  make: (size: number, seed: string) => Permutation,
): void {
  describe(`a ${name} permutation`, () => {
    test('reaches every index once, at every size up to 4,096 and for several seeds', () => {
      for (const seed of ['1', '7', 'transect']) {
        for (let size = 1; size <= 4096; size++) expectBijection(make(size, seed));
      }
    });

    test('reaches every index once around powers of two up to 2^20', () => {
      for (let bits = 13; bits <= 20; bits++) {
        for (const size of [2 ** bits - 1, 2 ** bits, 2 ** bits + 1])
          expectBijection(make(size, '3'));
      }
    });

    test('inverts every position, at any size up to 2^53', () => {
      const size = fc.oneof(
        fc.integer({ min: 1, max: 2 ** 20 }),
        fc.maxSafeInteger().filter((n) => n > 0),
        fc.constantFrom(2 ** 32, 2 ** 32 + 1, 2 ** 48, 2 ** 53),
      );
      fc.assert(
        fc.property(
          size,
          fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
          fc.string(),
          (n, x, seed) => {
            const permutation = make(n, seed);
            const position = Math.min(n - 1, Math.floor(x * n)) as Position;
            const index = permutation.at(position);
            expect(Number.isSafeInteger(index) && index >= 0 && index < n).toBe(true);
            expect(permutation.positionOf(index)).toBe(position);
            const other = permutation.positionOf(position as number as TargetIndex);
            expect(permutation.at(other)).toBe(position);
          },
        ),
      );
    });

    test('computes the same indices in a run as one by one, at any size and from any position', () => {
      const size = fc.oneof(
        fc.integer({ min: 1, max: 5000 }),
        fc.maxSafeInteger().filter((n) => n > 0),
        fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 48, 2 ** 53),
      );
      const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
      fc.assert(
        fc.property(size, place, fc.integer({ min: 1, max: 256 }), (n, x, count) => {
          const permutation = make(n, 'runs');
          const from = Math.floor(x * n);
          const length = Math.min(count, n - from);
          const run = [...permutation.run(from, length).subarray(0, length)];
          expect(run).toEqual(run.map((_, i) => permutation.at((from + i) as Position)));
        }),
        { numRuns: 500 },
      );
    });

    test('is the same for the same seed, and differs for another', () => {
      const permutation = (seed: string) =>
        Array.from({ length: 1000 }, (_, n) => make(1000, seed).at(n as Position));
      expect(permutation('7')).toEqual(permutation('7'));
      expect(permutation('7')).not.toEqual(permutation('8'));
    });
  });
}

function expectBijection(permutation: Permutation): void {
  const { size } = permutation;
  const seen = new Uint8Array(size);
  for (let position = 0; position < size; position++) {
    const index = permutation.at(position as Position);
    if (!(index >= 0 && index < size)) throw new Error(`${index} is outside of ${size}`);
    if (seen[index] === 1) throw new Error(`${index} of ${size} is reached twice`);
    seen[index] = 1;
    if (permutation.positionOf(index) !== position) throw new Error(`${index} is not found back`);
  }
}
