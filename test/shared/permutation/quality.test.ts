/**
 * The probing order compared with random ones, with fixed seeds: an excerpt of
 * `benchmarks/permutation-quality.ts`.
 */
import { describe, expect, test } from 'vitest';
import {
  avalanche,
  neighboursPerPermutation,
  scorePermutation,
} from '../../../benchmarks/permutation-statistics.js';
import type { Position } from '../../../shared/base/brand.js';
import { FeistelPermutation } from '../../../shared/permutation/permutation.js';

const permutationOf = (size: number, rounds?: number) => (seed: string) => {
  const permutation = new FeistelPermutation(size, seed, rounds);
  return (position: number) => permutation.at(position as Position);
};
const SIZES = [2 ** 20, 3_702_258_432, 2 ** 40 + 12345];
/** A random order exceeds this score with a probability of one in two million. */
const SIGMA_MAX = 5;

describe('the order of probing', () => {
  test.each(SIZES)('of %d targets is indistinguishable from a random one', (size) => {
    for (const seed of ['1', '2', '3']) {
      const scores = scorePermutation(permutationOf(size)(seed), size, [0, Math.floor(size / 3)]);
      expect(Math.abs(scores.spread)).toBeLessThan(SIGMA_MAX);
      expect(Math.abs(scores.serial)).toBeLessThan(SIGMA_MAX);
      expect(Math.abs(scores.gaps)).toBeLessThan(SIGMA_MAX);
      expect(Math.abs(scores.steps)).toBeLessThan(SIGMA_MAX);
      expect(scores.run).toBeLessThanOrEqual(5);
    }
  });

  test('with only two Feistel rounds is distinguishable from a random one by the same scores', () => {
    const scores = scorePermutation(permutationOf(2 ** 20, 2)('1'), 2 ** 20, [0, 300_000]);
    expect(Math.abs(scores.spread)).toBeGreaterThan(2 * SIGMA_MAX);
    expect(Math.abs(scores.steps)).toBeGreaterThan(2 * SIGMA_MAX);
  });

  test.each([16, 64, 256])('of %d targets is not near-sequential', (size) => {
    // In a random order, neighbours follow each other 2 − 2 / size times on average; the measured mean
    // may differ by up to 0.25.
    const neighbours = neighboursPerPermutation(permutationOf(size), size, 1000);
    expect(Math.abs(neighbours - 2 + 2 / size)).toBeLessThan(0.25);
  });

  test('changes half of an index’s bits if one bit of the position changes, and most indices if the seed changes', () => {
    expect(Math.abs(avalanche(permutationOf(2 ** 24), 24, 100) - 0.5)).toBeLessThan(0.02);
    let same = 0;
    const [one, other] = [permutationOf(2 ** 24)('1'), permutationOf(2 ** 24)('2')];
    for (let position = 0; position < 10_000; position++) {
      if (one(position) === other(position)) same++;
    }
    expect(same).toBeLessThan(5);
  });
});
