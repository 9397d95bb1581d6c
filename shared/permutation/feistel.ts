/**
 * A keyed Feistel network with cycle walking (Black and Rogaway, "Ciphers with Arbitrary Finite
 * Domains", CT-RSA 2002, §4).
 *
 * A number of `bits` bits, the fewest that hold size − 1, is split into a high and a low half whose
 * widths differ by at most one. Each round replaces one half by its exclusive-or with a keyed hash
 * of the other; a round undoes itself, so the inverse is the same rounds in reverse, for any hash.
 * Results ≥ size are sent through again until they fall inside ("walking the cycle"): since the
 * network permutes [0, 2^bits), walking permutes [0, size). 2^bits < 2·size, so a walk takes fewer
 * than two passes on average.
 *
 * Exactness: halves have at most 27 bits, so they are 32-bit integers; they are put together by
 * multiplication and addition of doubles, exact below 2^53.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.js';
import type { Position, TargetIndex } from '../base/brand.js';
import { LIMITS } from '../base/limits.js';
import type { Permutation } from './permutation.js';

/** Six rounds: two more than the four at which a Feistel network is a strong pseudo-random one. */
const ROUNDS = 6;

const MIX_A = 0x7feb352d | 0;
const MIX_B = 0x846ca68b | 0;

export class FeistelPermutation implements Permutation {
  readonly size: number;
  readonly #keys: Int32Array;
  readonly #lowBits: number;
  readonly #lowSpan: number;
  readonly #lowShift: number;
  readonly #highShift: number;

  /** @param seed any text or number; the same seed and size give the same order everywhere */
  constructor(size: number, seed: string | number) {
    assert(Number.isInteger(size) && size >= 1 && size <= LIMITS.spaceSizeMax, `size ${size}`);
    this.size = size;
    const bits = Math.max(2, bitsFor(size));
    this.#lowBits = (bits + 1) >>> 1;
    this.#lowSpan = 2 ** this.#lowBits;
    this.#lowShift = 32 - this.#lowBits;
    this.#highShift = 32 - (bits - this.#lowBits);
    this.#keys = roundKeys(seed);
  }

  at(position: Position): TargetIndex {
    let value: number = position;
    do value = this.#forward(value);
    while (value >= this.size);
    return value as TargetIndex;
  }

  positionOf(index: TargetIndex): Position {
    let value: number = index;
    do value = this.#backward(value);
    while (value >= this.size);
    return value as Position;
  }

  #forward(value: number): number {
    const keys = this.#keys;
    let low = (value % this.#lowSpan) | 0;
    let high = ((value - low) / this.#lowSpan) | 0;
    for (let round = 0; round < ROUNDS; round += 2) {
      low ^= hash(high, keys[round] as number) >>> this.#lowShift;
      high ^= hash(low, keys[round + 1] as number) >>> this.#highShift;
    }
    return high * this.#lowSpan + low;
  }

  #backward(value: number): number {
    const keys = this.#keys;
    let low = (value % this.#lowSpan) | 0;
    let high = ((value - low) / this.#lowSpan) | 0;
    for (let round = ROUNDS - 2; round >= 0; round -= 2) {
      high ^= hash(low, keys[round + 1] as number) >>> this.#highShift;
      low ^= hash(high, keys[round] as number) >>> this.#lowShift;
    }
    return high * this.#lowSpan + low;
  }
}

/** 32 mixed bits of a half and a key; the high ones, which depend on all input bits, are used. */
function hash(half: number, key: number): number {
  let mixed = Math.imul(half ^ key, MIX_A);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, MIX_B);
  mixed ^= mixed >>> 13;
  return Math.imul(mixed, MIX_A);
}

/** The fewest bits that hold every number below `size`. */
function bitsFor(size: number): number {
  let bits = 0;
  while (2 ** bits < size) bits++;
  return bits;
}

/** One 32-bit key per round from SHA-256 of the seed. */
function roundKeys(seed: string | number): Int32Array {
  const digest = createHash('sha256').update(`transect permutation ${seed}`).digest();
  return Int32Array.from({ length: ROUNDS }, (_, round) => digest.readInt32BE(round * 4));
}
