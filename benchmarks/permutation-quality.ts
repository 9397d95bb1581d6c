/** Randomness of the probing order, by number of Feistel rounds, compared with a true shuffle. */
import { randomFillSync } from 'node:crypto';
import type { Position } from '../shared/base/brand.js';
import { FeistelPermutation } from '../shared/permutation/permutation.js';
import { printTable } from './harness.js';
import {
  avalanche,
  neighboursPerPermutation,
  type PermutationFunction,
  scorePermutation,
} from './permutation-statistics.js';

const SIZES = [2 ** 20, 3_702_258_432, 2 ** 40 + 12345];
const SMALL = [16, 64, 256];
const SEEDS = ['1', '2', '3'];
const ROUNDS = [2, 4, 6, 8];

const feistel =
  (size: number, rounds: number) =>
  (seed: string): PermutationFunction => {
    const permutation = new FeistelPermutation(size, seed, rounds);
    return (position) => permutation.at(position as Position);
  };

/** Fisher–Yates with the system's randomness; only for sizes that fit in memory. */
function trueShuffle(size: number): PermutationFunction {
  const permutation = Uint32Array.from({ length: size }, (_, i) => i);
  const prng = randomFillSync(new Uint32Array(size));
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor(((prng[i] as number) / 2 ** 32) * (i + 1));
    [permutation[i], permutation[j]] = [permutation[j] as number, permutation[i] as number];
  }
  return (position) => permutation[position] as number;
}

/**
 * Random numbers in place of a shuffle: where the window is a small part of the space, it makes no difference
 * that they may repeat.
 */
function trueSample(size: number): PermutationFunction {
  const prng = randomFillSync(new Uint32Array(2 ** 20));
  return (position) => {
    const at = (position * 2) % 2 ** 20;
    const fraction = (prng[at] as number) / 2 ** 32 + (prng[at + 1] as number) / 2 ** 64;
    return Math.floor(fraction * size);
  };
}

for (const size of SIZES) {
  const starts = [0, Math.floor(size / 3), size - 200_000];
  const rows = [0, ...ROUNDS].map((rounds) => {
    const jobs = SEEDS.map((seed) =>
      rounds > 0
        ? feistel(size, rounds)(seed)
        : size <= 2 ** 20
          ? trueShuffle(size)
          : trueSample(size),
    );
    const scores = jobs.map((permutation) => scorePermutation(permutation, size, starts));
    const worst = (name: keyof (typeof scores)[number]) =>
      scores.map((score) => score[name]).reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
    const bits = Math.floor(Math.log2(size));
    const flips = rounds === 0 ? 0.5 : avalanche(feistel(2 ** bits, rounds), bits, 50);
    return {
      permutation: rounds === 0 ? 'true shuffle' : `${rounds} rounds`,
      'spread (σ)': worst('spread').toFixed(1),
      'serial (σ)': worst('serial').toFixed(1),
      'gaps (σ)': worst('gaps').toFixed(1),
      'neighbours (σ)': worst('steps').toFixed(1),
      'longest run': String(worst('run')),
      avalanche: flips.toFixed(3),
    };
  });
  printTable(
    `Order of ${size.toLocaleString('en-US')} targets, worst of ${SEEDS.length} seeds`,
    rows,
  );
}

printTable(
  'Neighbours that follow each other in a small space, per permutation (2 expected)',
  [0, ...ROUNDS].map((rounds) => ({
    permutation: rounds === 0 ? 'true shuffle' : `${rounds} rounds`,
    ...Object.fromEntries(
      SMALL.map((size) => {
        const permutationOf = rounds === 0 ? () => trueShuffle(size) : feistel(size, rounds);
        return [`${size}`, neighboursPerPermutation(permutationOf, size, 2000).toFixed(2)];
      }),
    ),
  })),
);
