/**
 * The loops in which sending spends most of its time, as SIMD: four lanes at once. This folder is
 * AssemblyScript (compiled by `deploy/build.sh` to `gen/kernels.wasm`), a subset of TypeScript with
 * WebAssembly's vectors. The results of the loops are defined by `permutation/permutation.ts` and
 * `probe/chaskey.ts`; tests compare them number by number.
 *
 * All pointers are offsets in the module's memory, in octets, and multiples of 16; counts are rounded up to
 * multiples of eight (in `scramble`) or four (in `tag` and `tagLong`).
 */

const MIX_A: i32 = 0x7feb352d;
const MIX_B: i32 = 0x846ca68b;
const LANES: i32 = 4;
const WORD: usize = 4;
const TAG_ROUNDS: i32 = 12;
/** Blocks of a message of nine words, and the word after the message (see `probe/chaskey.ts`). */
const BLOCKS: i32 = 3;
const PADDING: i32 = 1;

function mix(part: v128, key: v128): v128 {
  const mixed = i32x4.mul(v128.xor(part, key), i32x4.splat(MIX_A));
  return i32x4.mul(v128.xor(mixed, i32x4.shr_u(mixed, 15)), i32x4.splat(MIX_B));
}

/** The high halves of the products of 32-bit lanes. */
function multiplyHigh(a: v128, b: v128): v128 {
  const low = i64x2.extmul_low_i32x4_u(a, b);
  const high = i64x2.extmul_high_i32x4_u(a, b);
  return v128.shuffle<i32>(low, high, 1, 3, 5, 7);
}

/** The integer parts of two doubles below 2^31, in the first two lanes. */
function whole(value: v128): v128 {
  return i32x4.trunc_sat_f64x2_s_zero(value);
}

function joined(high: v128, low: v128, span: v128): v128 {
  return f64x2.add(f64x2.mul(f64x2.convert_low_i32x4_s(high), span), f64x2.convert_low_i32x4_s(low));
}

/** The high parts of four numbers. */
function highOf(first: v128, second: v128, perSpan: v128): v128 {
  const a = whole(f64x2.mul(first, perSpan));
  const b = whole(f64x2.mul(second, perSpan));
  return v128.shuffle<i64>(a, b, 0, 2);
}

/** The low parts of four numbers with these high parts. */
function lowOf(first: v128, second: v128, high: v128, span: v128): v128 {
  const upper = v128.shuffle<i64>(high, high, 1, 1);
  const a = whole(f64x2.sub(first, f64x2.mul(f64x2.convert_low_i32x4_s(high), span)));
  const b = whole(f64x2.sub(second, f64x2.mul(f64x2.convert_low_i32x4_s(upper), span)));
  return v128.shuffle<i64>(a, b, 0, 2);
}

/** high + ⌊mixed · highs / 2^32⌋ modulo highs. */
function stepped(high: v128, mixed: v128, highs: v128, highest: v128): v128 {
  const sum = i32x4.add(high, multiplyHigh(mixed, highs));
  return i32x4.sub(sum, v128.and(highs, i32x4.gt_s(sum, highest)));
}

/** Writes four numbers, joined from their high and low parts. */
function put(at: usize, high: v128, low: v128, span: v128): void {
  const highs = v128.shuffle<i64>(high, high, 1, 1);
  const lows = v128.shuffle<i64>(low, low, 1, 1);
  v128.store(at, joined(high, low, span));
  v128.store(at + 4 * WORD, joined(highs, lows, span));
}

/**
 * Sends the numbers `from`, `from + 1`, … through the Feistel network once, and writes the results as doubles
 * to `out`. Eight numbers are processed at once, in two vectors, so that the multiplications of one vector
 * overlap with those of the other.
 */
export function scramble(
  from: f64,
  count: i32,
  keys: usize,
  rounds: i32,
  lowSpan: f64,
  lowShift: i32,
  highSpan: i32,
  out: usize,
): void {
  const span = f64x2.splat(lowSpan);
  const perSpan = f64x2.splat(1 / lowSpan);
  const highs = i32x4.splat(highSpan);
  const highest = i32x4.splat(highSpan - 1);
  const two = f64x2.splat(2);
  for (let i = 0; i < count; i += 2 * LANES) {
    const a = f64x2.add(f64x2.splat(from + f64(i)), f64x2(0, 1));
    const b = f64x2.add(a, two);
    const c = f64x2.add(b, two);
    const d = f64x2.add(c, two);
    let high0 = highOf(a, b, perSpan);
    let high1 = highOf(c, d, perSpan);
    let low0 = lowOf(a, b, high0, span);
    let low1 = lowOf(c, d, high1, span);
    for (let round = 0; round < rounds; round += 2) {
      const key = keys + usize(round) * WORD;
      const k0 = v128.load32_splat(key);
      const k1 = v128.load32_splat(key + WORD);
      low0 = v128.xor(low0, i32x4.shr_u(mix(high0, k0), lowShift));
      low1 = v128.xor(low1, i32x4.shr_u(mix(high1, k0), lowShift));
      high0 = stepped(high0, mix(low0, k1), highs, highest);
      high1 = stepped(high1, mix(low1, k1), highs, highest);
    }
    const at = out + usize(i) * 2 * WORD;
    put(at, high0, low0, span);
    put(at + 8 * WORD, high1, low1, span);
  }
}

function rotated(value: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(value, bits), i32x4.shr_u(value, 32 - bits));
}

function rotated8(value: v128): v128 {
  return v128.shuffle<i8>(value, value, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14);
}

function rotated16(value: v128): v128 {
  return v128.shuffle<i16>(value, value, 1, 0, 3, 2, 5, 4, 7, 6);
}

/**
 * Chaskey-12 of many messages of three words: columns at x, y, z. The key is the initial state (four words),
 * and two words that are XORed into the tag. Only the first two words of each tag are stored.
 */
export function tag(
  x: usize,
  y: usize,
  z: usize,
  count: i32,
  key: usize,
  firsts: usize,
  seconds: usize,
): void {
  const end = usize(count) * WORD;
  for (let at: usize = 0; at < end; at += usize(LANES) * WORD) {
    let v0 = v128.xor(v128.load32_splat(key), v128.load(x + at));
    let v1 = v128.xor(v128.load32_splat(key + WORD), v128.load(y + at));
    let v2 = v128.xor(v128.load32_splat(key + 2 * WORD), v128.load(z + at));
    let v3 = v128.load32_splat(key + 3 * WORD);
    for (let round = 0; round < TAG_ROUNDS; round++) {
      v0 = i32x4.add(v0, v1);
      v1 = v128.xor(rotated(v1, 5), v0);
      v0 = rotated16(v0);
      v2 = i32x4.add(v2, v3);
      v3 = v128.xor(rotated8(v3), v2);
      v0 = i32x4.add(v0, v3);
      v3 = v128.xor(rotated(v3, 13), v0);
      v2 = i32x4.add(v2, v1);
      v1 = v128.xor(rotated(v1, 7), v2);
      v2 = rotated16(v2);
    }
    v128.store(firsts + at, v128.xor(v0, v128.load32_splat(key + 4 * WORD)));
    v128.store(seconds + at, v128.xor(v1, v128.load32_splat(key + 5 * WORD)));
  }
}

/**
 * Chaskey-12 of many messages of nine words: four of our address, four of the target's (columns at w0 … w3), and the
 * ports (column at ports). `key` points to twelve words: the state, the subkey of the last block, and our address. If
 * our addresses are all the same, the state is that after the first block, and `hasState` is 1. If not, the bits at
 * high and low are ORed into the third and the fourth word of our address.
 */
export function tagLong(
  w0: usize,
  w1: usize,
  w2: usize,
  w3: usize,
  ports: usize,
  high: usize,
  low: usize,
  count: i32,
  key: usize,
  hasState: i32,
  firsts: usize,
  seconds: usize,
): void {
  const end = usize(count) * WORD;
  const subkey = key + 4 * WORD;
  const ours = key + 8 * WORD;
  for (let at: usize = 0; at < end; at += usize(LANES) * WORD) {
    let v0 = v128.load32_splat(key);
    let v1 = v128.load32_splat(key + WORD);
    let v2 = v128.load32_splat(key + 2 * WORD);
    let v3 = v128.load32_splat(key + 3 * WORD);
    for (let block = hasState; block < BLOCKS; block++) {
      if (block === 0) {
        v0 = v128.xor(v0, v128.load32_splat(ours));
        v1 = v128.xor(v1, v128.load32_splat(ours + WORD));
        v2 = v128.xor(v2, v128.or(v128.load32_splat(ours + 2 * WORD), v128.load(high + at)));
        v3 = v128.xor(v3, v128.or(v128.load32_splat(ours + 3 * WORD), v128.load(low + at)));
      } else if (block === 1) {
        v0 = v128.xor(v0, v128.load(w0 + at));
        v1 = v128.xor(v1, v128.load(w1 + at));
        v2 = v128.xor(v2, v128.load(w2 + at));
        v3 = v128.xor(v3, v128.load(w3 + at));
      } else {
        v0 = v128.xor(v0, v128.xor(v128.load32_splat(subkey), v128.load(ports + at)));
        v1 = v128.xor(v1, v128.xor(v128.load32_splat(subkey + WORD), i32x4.splat(PADDING)));
        v2 = v128.xor(v2, v128.load32_splat(subkey + 2 * WORD));
        v3 = v128.xor(v3, v128.load32_splat(subkey + 3 * WORD));
      }
      for (let round = 0; round < TAG_ROUNDS; round++) {
        v0 = i32x4.add(v0, v1);
        v1 = v128.xor(rotated(v1, 5), v0);
        v0 = rotated16(v0);
        v2 = i32x4.add(v2, v3);
        v3 = v128.xor(rotated8(v3), v2);
        v0 = i32x4.add(v0, v3);
        v3 = v128.xor(rotated(v3, 13), v0);
        v2 = i32x4.add(v2, v1);
        v1 = v128.xor(rotated(v1, 7), v2);
        v2 = rotated16(v2);
      }
    }
    v128.store(firsts + at, v128.xor(v0, v128.load32_splat(subkey)));
    v128.store(seconds + at, v128.xor(v1, v128.load32_splat(subkey + WORD)));
  }
}
