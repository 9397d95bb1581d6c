/**
 * The probing order: a keyed Feistel network over two mixed radices, with cycle walking; a format-preserving
 * permutation (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, §§4–5).
 *
 * A number is split into a low part of `lowBits` bits and a high part below `highSpan`, which is the least
 * number for which the two parts together cover the size. Rounds alternate: low ⊕= F(high), high += ⌊F(low) ·
 * highSpan / 2^32⌋ modulo highSpan. A round is undone by ⊕ or by subtraction, so the inverse is the same
 * rounds in reverse, whatever F is. A result ≥ size is sent through the network again until it is below the
 * size ("cycle walking"): since the network permutes [0, highSpan · 2^lowBits), walking permutes [0, size).
 * This domain exceeds the size by less than 2^lowBits ≈ √size, so walks are rare at every size. If the domain
 * were a power of two, it could be twice the size, and the second passes, whose branches the processor cannot
 * predict, would cost more than all rounds.
 *
 * Exactness: both parts have at most 27 bits, so they are 32-bit integers; they are combined by
 * multiplication and addition of doubles, exact below 2^53.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.js';
import type { Position, TargetIndex } from '../base/brand.js';
import { LIMITS } from '../base/limits.js';
import { FeistelKernel, type FeistelShape } from '../simd/wasm-kernels.js';

/**
 * The number of rounds, chosen with `benchmarks/permutation-quality.ts`. With two rounds, the order is
 * regular at every size. With four, it is indistinguishable from a true shuffle in large spaces, but in
 * spaces of 64 and of 256 targets, neighbours follow each other 25 % too often. With six, no statistic of the
 * benchmark differs from that of a true shuffle.
 */
const ROUNDS = 6;

const MIX_A = 0x7feb352d | 0;
const MIX_B = 0x846ca68b | 0;
/** The highest number of positions in one call of `run`. */
export const RUN_MAX = 256;

/**
 * A bijection of [0, size) with random access in both directions. So a shard is two integers, a checkpoint is
 * one, and a reply is traceable to its position without a log of sent probes.
 */
export interface Permutation {
  /** 1 … 2^53. */
  readonly size: number;
  /** The target index probed at a position. */
  at(position: Position): TargetIndex;
  /**
   * The target indices probed at positions [from, from + count), count ≤ 256: for hot paths. The returned
   * array is valid until the next call.
   */
  run(from: number, count: number): Float64Array;
  /** The position at which a target index is probed: the inverse of `at`. */
  positionOf(index: TargetIndex): Position;
}

type Shape = FeistelShape & { readonly keys: Int32Array };

export class FeistelPermutation implements Permutation {
  readonly size: number;
  readonly #shape: Shape;
  readonly #kernel: FeistelKernel;

  /**
   * @param seed any text or number; the same seed and size give the same permutation everywhere
   * @param rounds an even number; values other than the default are for measurements only
   */
  constructor(size: number, seed: string | number, rounds = ROUNDS) {
    assert(Number.isInteger(size) && size >= 1 && size <= LIMITS.spaceSizeMax, `size ${size}`);
    assert(rounds % 2 === 0, 'an odd number of rounds');
    const lowBits = Math.max(1, bitsFor(size) >>> 1);
    const lowSpan = 2 ** lowBits;
    this.size = size;
    this.#shape = {
      keys: roundKeys(seed, rounds),
      lowSpan,
      lowShift: 32 - lowBits,
      highSpan: Math.ceil(size / lowSpan),
    };
    this.#kernel = new FeistelKernel(RUN_MAX, this.#shape);
  }

  at(position: Position): TargetIndex {
    return this.#walk(this.#scramble(position)) as TargetIndex;
  }

  run(from: number, count: number): Float64Array {
    assert(count <= RUN_MAX, `${count} positions at once`);
    const kernel = this.#kernel;
    const { values } = kernel;
    const size = this.size;
    kernel.run(from, count);
    for (let i = 0; i < count; i++) {
      const value = values[i] as number;
      if (value >= size) values[i] = this.#walk(value);
    }
    return values;
  }

  positionOf(index: TargetIndex): Position {
    const { keys, lowSpan, lowShift, highSpan } = this.#shape;
    let value: number = index;
    do {
      let high = (value / lowSpan) | 0;
      let low = (value - high * lowSpan) | 0;
      for (let round = keys.length - 2; round >= 0; round -= 2) {
        high -= multiplyHigh(mix(low, keys[round + 1] as number), highSpan);
        high += highSpan & (high >> 31);
        low ^= mix(high, keys[round] as number) >>> lowShift;
      }
      value = high * lowSpan + low;
    } while (value >= this.size);
    return value as Position;
  }

  /** One pass through the network, for numbers of the domain. */
  #scramble(value: number): number {
    const { keys, lowSpan, lowShift, highSpan } = this.#shape;
    let high = (value / lowSpan) | 0;
    let low = (value - high * lowSpan) | 0;
    for (let round = 0; round < keys.length; round += 2) {
      low ^= mix(high, keys[round] as number) >>> lowShift;
      high = (high + multiplyHigh(mix(low, keys[round + 1] as number), highSpan)) | 0;
      high = (high - (highSpan & ((highSpan - 1 - high) >> 31))) | 0;
    }
    return high * lowSpan + low;
  }

  /** Further passes, until the number is below the size. */
  #walk(scrambled: number): number {
    let value = scrambled;
    while (value >= this.size) value = this.#scramble(value);
    return value;
  }
}

/** 32 mixed bits of a part and a key. The high ones are used, because they depend on all input bits. */
function mix(part: number, key: number): number {
  let mixed = Math.imul(part ^ key, MIX_A);
  mixed ^= mixed >>> 15;
  return Math.imul(mixed, MIX_B);
}

/** ⌊bits · factor / 2^32⌋ for a factor below 2^28; exact, because each half of `bits` has its own product. */
function multiplyHigh(bits: number, factor: number): number {
  const low = ((bits & 0xffff) * factor) / 65536;
  return (((bits >>> 16) * factor + Math.floor(low)) / 65536) | 0;
}

/** The fewest bits that hold every number below `size`. */
function bitsFor(size: number): number {
  let bits = 0;
  while (2 ** bits < size) bits++;
  return bits;
}

/** One 32-bit key per round from SHA-512 of the seed. */
function roundKeys(seed: string | number, rounds: number): Int32Array {
  const digest = createHash('sha512').update(`transect permutation ${seed}`).digest();
  return Int32Array.from({ length: rounds }, (_, round) => digest.readInt32BE(round * 4));
}
