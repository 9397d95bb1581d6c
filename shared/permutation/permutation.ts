/**
 * The order in which a space is probed: a bijection of [0, size) that can be entered anywhere, in
 * both directions. Random access is what makes a shard two integers, a checkpoint one, and a reply
 * traceable to its position without a log of what was sent.
 */
import type { Position, TargetIndex } from '../base/brand.js';

export interface Permutation {
  /** 1 … 2^53. */
  readonly size: number;
  /** The target index probed at a position. */
  at(position: Position): TargetIndex;
  /**
   * The target indices probed at positions [from, from + count), count ≤ 256: for hot paths. What is
   * returned is the caller's until the next call.
   */
  run(from: number, count: number): Float64Array;
  /** The position at which a target index is probed: the inverse of `at`. */
  positionOf(index: TargetIndex): Position;
}
