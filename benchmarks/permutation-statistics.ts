/**
 * How a permutation differs from a random one, as standard scores: for a true shuffle, they scatter around 0
 * with a deviation of about 1; a score beyond ±5 is no coincidence.
 */

/** The index at each position of a permutation. */
export type PermutationFunction = (position: number) => number;

export interface Scores {
  /** Worst chi-square score over all windows, each divided by subnets of two sizes and by the low bits. */
  readonly spread: number;
  /** Correlation of each index with the next. */
  readonly serial: number;
  /** Worst score of the gaps between the sorted indices of a window, compared with those of random numbers. */
  readonly gaps: number;
  /**
   * Standard score of the number of indices that are followed by the next higher or next lower index; a true
   * shuffle has about two of them.
   */
  readonly steps: number;
  /**
   * The longest run of consecutive positions whose indices are in the same subnet; the space is divided into
   * 256 subnets.
   */
  readonly run: number;
}

const WINDOWS = [1024, 16384, 131072];
const BUCKETS = 256;

/** Scores a permutation in windows of several lengths at each of several starts. */
export function scorePermutation(
  permutation: PermutationFunction,
  size: number,
  starts: readonly number[],
): Scores {
  let spread = 0;
  let gaps = 0;
  let serial = 0;
  let run = 0;
  let steps = 0;
  let pairs = 0;
  for (const start of starts) {
    for (const length of WINDOWS.filter((each) => each <= size / 4)) {
      const indices = Float64Array.from({ length }, (_, i) => permutation((start + i) % size));
      for (const [buckets, bucketOf] of partitions(size)) {
        if (length < buckets * 4) continue;
        spread = worse(spread, chiSquareScore(indices, bucketOf, buckets, length / size));
      }
      serial = worse(serial, serialScore(indices, size));
      gaps = worse(gaps, gapScore(indices.slice().sort(), size));
      run = Math.max(run, longestRun(indices, high(size, BUCKETS)));
      for (let i = 1; i < length; i++) {
        pairs++;
        if (Math.abs((indices[i] as number) - (indices[i - 1] as number)) === 1) steps++;
      }
    }
  }
  const expected = (2 * pairs) / size;
  return { spread, serial, gaps, run, steps: (steps - expected) / Math.sqrt(expected + 1) };
}

/** The share of result bits that change when one bit of the position changes; by chance, 0.5. */
export function avalanche(
  permutationOf: (seed: string) => PermutationFunction,
  bits: number,
  seeds: number,
): number {
  let changed = 0;
  let looked = 0;
  for (let seed = 0; seed < seeds; seed++) {
    const permutation = permutationOf(`${seed}`);
    for (let bit = 0; bit < bits; bit++) {
      const position = (seed * 2654435761) % 2 ** bits;
      const flipped =
        position % 2 ** (bit + 1) >= 2 ** bit ? position - 2 ** bit : position + 2 ** bit;
      changed += differingBits(permutation(position), permutation(flipped));
      looked += bits;
    }
  }
  return changed / looked;
}

/** How often neighbours follow each other, per permutation of small sizes; the expected value is 2. */
export function neighboursPerPermutation(
  permutationOf: (seed: string) => PermutationFunction,
  size: number,
  seeds: number,
): number {
  let steps = 0;
  for (let seed = 0; seed < seeds; seed++) {
    const permutation = permutationOf(`${seed}`);
    for (let position = 1; position < size; position++) {
      if (Math.abs(permutation(position) - permutation(position - 1)) === 1) steps++;
    }
  }
  return steps / seeds;
}

/** Ways to put indices into buckets: subnets of two sizes, and the low bits (within subnets, or ports). */
function partitions(size: number): [buckets: number, bucketOf: (index: number) => number][] {
  return [
    [BUCKETS, high(size, BUCKETS)],
    [4096, high(size, 4096)],
    [BUCKETS, (index) => index % BUCKETS],
  ];
}

function high(size: number, buckets: number): (index: number) => number {
  return (index) => Math.floor((index / size) * buckets);
}

/**
 * @param share the part of the space that the window covers, from 0 to 1: the larger it is, the less the
 * counts vary
 */
function chiSquareScore(
  indices: Float64Array,
  bucketOf: (index: number) => number,
  buckets: number,
  share: number,
): number {
  const counts = new Float64Array(buckets);
  for (const index of indices) counts[bucketOf(index)] = (counts[bucketOf(index)] ?? 0) + 1;
  const expected = indices.length / buckets;
  let sum = 0;
  for (const count of counts) sum += (count - expected) ** 2 / expected;
  const freedom = buckets - 1;
  return (sum / (1 - share) - freedom) / Math.sqrt(2 * freedom);
}

function serialScore(indices: Float64Array, size: number): number {
  const middle = (size - 1) / 2;
  let products = 0;
  for (let i = 1; i < indices.length; i++) {
    products += ((indices[i] as number) - middle) * ((indices[i - 1] as number) - middle);
  }
  const variance = (size * size - 1) / 12;
  return products / variance / Math.sqrt(indices.length - 1);
}

/** The variance of the gaps between n random points is about the square of their mean. */
function gapScore(sorted: Float64Array, size: number): number {
  const mean = size / (sorted.length + 1);
  let squares = 0;
  for (let i = 1; i < sorted.length; i++) {
    squares += (((sorted[i] as number) - (sorted[i - 1] as number)) / mean - 1) ** 2;
  }
  const n = sorted.length - 1;
  const share = sorted.length / size; // without replacement, the variance is a little smaller
  return (squares / n / (1 - share) - 1) / Math.sqrt(8 / n);
}

function longestRun(indices: Float64Array, bucketOf: (index: number) => number): number {
  let longest = 0;
  let run = 0;
  let before = -1;
  for (const index of indices) {
    const bucket = bucketOf(index);
    run = bucket === before ? run + 1 : 1;
    before = bucket;
    longest = Math.max(longest, run);
  }
  return longest;
}

function worse(a: number, b: number): number {
  return Math.abs(b) > Math.abs(a) ? b : a;
}

function differingBits(a: number, b: number): number {
  let count = 0;
  let [x, y] = [a, b];
  while (x > 0 || y > 0) {
    if (x % 2 !== y % 2) count++;
    x = Math.floor(x / 2);
    y = Math.floor(y / 2);
  }
  return count;
}
