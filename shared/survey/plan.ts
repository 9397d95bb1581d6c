/**
 * A plan: a space, a permutation, a number of targets and a shard length. It determines the targets of each
 * shard and their order, and is identified by its hash. Agents build the plan themselves and compare hashes,
 * so that program versions that compute different plans never share a survey.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.js';
import type { Position, TargetIndex } from '../base/brand.js';
import { LIMITS } from '../base/limits.js';
import { Target } from '../net/endpoint.js';
import type { Permutation } from '../permutation/permutation.js';
import { FeistelPermutation } from '../permutation/permutation.js';
import type { Space } from './space/space.js';
import { hashSpace, spaceToBytes } from './space/space-bytes.js';

/** Increased whenever the same inputs would give another permutation or other shards. */
const PLAN_VERSION = 3;
const SHARD_LENGTH_MIN = 256;
const SHARD_LENGTH_USUAL = 2 ** 16;
const SHARD_SECONDS = 16;
const SHARDS_LEAST = 64;
const SHARDS_MOST = 2 ** 31;

/** Positions [from, to), fixed by the plan. */
export interface Shard {
  readonly number: number;
  readonly from: Position;
  readonly to: Position;
}

export class Plan {
  readonly space: Space;
  readonly permutation: Permutation;
  readonly shardLength: number;
  readonly shardCount: number;
  readonly #spaceHash: () => string;
  readonly #seed: string;
  /** The number of targets of the plan, which are those at the first positions of the permutation. */
  readonly size: number;

  /**
   * @param targets number of targets, at most `space.size`
   * @param spaceHash the hash of the space's bytes; if it is not given, it is computed when it is needed
   */
  constructor(
    space: Space,
    seed: string,
    shardLength: number,
    targets = space.size,
    spaceHash?: string,
  ) {
    assert(shardLength >= 1 && shardLength <= LIMITS.shardLengthMax, `shard length ${shardLength}`);
    this.space = space;
    this.permutation = new FeistelPermutation(space.size, seed);
    this.shardLength = shardLength;
    assert(targets >= 1 && targets <= space.size, `${targets} targets of ${space.size}`);
    this.size = targets;
    this.shardCount = Math.ceil(targets / shardLength);
    this.#seed = seed;
    this.#spaceHash = () => spaceHash ?? hashSpace(spaceToBytes(space, seed));
  }

  /** SHA-256 over version, space, seed, shard length and number of targets, in hexadecimal. */
  get hash(): string {
    const { shardLength, size } = this;
    const parts = [PLAN_VERSION, this.#spaceHash(), this.#seed, shardLength, size];
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  }

  shard(number: number): Shard {
    assert(number >= 0 && number < this.shardCount, `shard ${number} of ${this.shardCount}`);
    const from = number * this.shardLength;
    const to = Math.min(from + this.shardLength, this.size);
    return { number, from: from as Position, to: to as Position };
  }

  /** The target at a position; for single lookups, not for hot paths. */
  targetAt(position: number): Target {
    return this.fillTarget(position, new Target());
  }

  /** Sets `target` to the target at a position. */
  fillTarget(position: number, target: Target): Target {
    this.space.at(this.permutation.at(position as Position), target);
    return target;
  }

  /** The position of a target, or −1 if the plan does not contain it. */
  positionOf(target: Target): Position | -1 {
    const index = this.space.indexOf(target);
    if (index < 0) return -1;
    const position = this.permutation.positionOf(index as TargetIndex);
    return position < this.size ? position : -1;
  }
}

/**
 * The shard length, a power of two. A small space has about 64 shards, so that several agents share it. A
 * shard has at most 2^16 positions, and at most as many as the total rate sends in 16 s, so that each of four
 * agents that share the rate sends a shard in about a minute. Shards are longer only if there would otherwise
 * be more than 2^31 of them.
 * @param rate packets per second of all agents together
 */
export function shardLengthFor(size: number, rate: number): number {
  const shared = Math.min(powerOfTwoAbove(size / SHARDS_LEAST), SHARD_LENGTH_USUAL);
  const brisk = powerOfTwoWithin(Math.min(rate * SHARD_SECONDS, LIMITS.shardLengthMax));
  const countable = Math.min(powerOfTwoAbove(size / SHARDS_MOST), LIMITS.shardLengthMax);
  return Math.max(SHARD_LENGTH_MIN, Math.min(shared, brisk), countable);
}

function powerOfTwoAbove(value: number): number {
  let power = 1;
  while (power < value) power *= 2;
  return power;
}

function powerOfTwoWithin(value: number): number {
  let power = 1;
  while (2 * power <= value) power *= 2;
  return power;
}
