/**
 * Proofs that take minutes, because they visit every position of whole spaces or of long runs. Start them
 * with `npm run test:exhaustive`; progress goes to stderr.
 */
import { describe, expect, test } from 'vitest';
import type { Position, TargetIndex } from '../../shared/base/brand.js';
import { Target } from '../../shared/net/endpoint.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { FeistelPermutation } from '../../shared/permutation/permutation.js';
import { SPECIAL } from '../../shared/survey/policy/special-purpose-registry.js';
import { Space } from '../../shared/survey/space/space.js';

const MINUTES = 60_000;
const REPORT_EVERY = 2 ** 27;
const CONSECUTIVE = 40_000_000;

/** One bit per number below 2^32. */
class Bitmap {
  readonly #words = new Uint32Array(2 ** 27);

  /** Sets a bit. Returns false if it was already set. */
  add(number: number): boolean {
    const word = number >>> 5;
    const bit = 1 << (number & 31);
    const before = this.#words[word] as number;
    this.#words[word] = before | bit;
    return (before & bit) === 0;
  }
}

function progress(what: string, done: number, of: number): void {
  if (done % REPORT_EVERY === 0) {
    process.stderr.write(`${what}: ${((100 * done) / of).toFixed(0)} %\n`);
  }
}

describe('every position', () => {
  test(
    'in spaces of sizes around powers of two up to 2^24 reaches a distinct index',
    () => {
      for (let bits = 12; bits <= 24; bits++) {
        for (const size of [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]) {
          const permutation = new FeistelPermutation(size, `${bits}`);
          const seen = new Uint8Array(size);
          for (let position = 0; position < size; position++) {
            const index = permutation.at(position as Position);
            if (index >= size || seen[index] === 1) throw new Error(`${index} of ${size} again`);
            seen[index] = 1;
            if (permutation.positionOf(index) !== position) throw new Error(`${index} is lost`);
          }
        }
      }
    },
    10 * MINUTES,
  );

  test(
    'of 2^32 reaches a distinct index',
    () => {
      const size = 2 ** 32;
      const permutation = new FeistelPermutation(size, '7');
      const seen = new Bitmap();
      for (let position = 0; position < size; position++) {
        progress('2^32', position, size);
        const index = permutation.at(position as Position);
        if (!(index < size) || !seen.add(index)) throw new Error(`${index} again`);
      }
    },
    60 * MINUTES,
  );

  test(
    'of the default IPv4 space reaches a target from which the inverse leads back to it',
    () => {
      const everything = Ranges.of([{ from: 0, to: 2 ** 32 }]);
      const space = Space.ofIpv4(everything.subtract(SPECIAL), [80] as ProbePort[]);
      const { size } = space;
      expect(size).toBe(3_702_258_432);
      const permutation = new FeistelPermutation(size, '7');
      const target = new Target();
      // If the inverse leads from each target back to its position, no two positions share a target. This
      // proves a bijection without a bitmap.
      for (let position = 0; position < size; position++) {
        progress('default IPv4', position, size);
        const index = permutation.at(position as Position);
        space.at(index, target);
        const back = space.indexOf(target) as TargetIndex;
        if (back !== index || permutation.positionOf(back) !== position) {
          throw new Error(`${target.w3} does not lead back to ${position}`);
        }
      }
    },
    60 * MINUTES,
  );

  test.each([2 ** 44, 2 ** 48])(
    'of 40 million consecutive ones among %d reaches a distinct index',
    (size) => {
      const permutation = new FeistelPermutation(size, '7');
      for (const start of [0, Math.floor(size / 3), size - CONSECUTIVE]) {
        const indices = new Float64Array(CONSECUTIVE);
        for (let i = 0; i < CONSECUTIVE; i++) {
          const position = (start + i) as Position;
          const index = permutation.at(position);
          if (!(index >= 0 && index < size)) throw new Error(`${index} is outside`);
          if (permutation.positionOf(index as TargetIndex) !== position) throw new Error('lost');
          indices[i] = index;
        }
        indices.sort();
        for (let i = 1; i < CONSECUTIVE; i++) {
          if (indices[i] === indices[i - 1]) throw new Error(`${indices[i]} again`);
        }
        process.stderr.write(`2^${Math.log2(size)} from ${start}: 40,000,000 distinct\n`);
      }
    },
    30 * MINUTES,
  );
});
