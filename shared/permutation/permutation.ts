/**
 * The permutation of target indices: a bijection of [0, size) with random access in both directions. So a
 * shard is two integers, a checkpoint is one, and a reply is traceable to its position without a log of sent
 * probes.
 */
import type { Position, TargetIndex } from '../base/brand.js';

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
