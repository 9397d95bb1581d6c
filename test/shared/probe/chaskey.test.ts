import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Chaskey } from '../../../shared/probe/chaskey.js';
import { TagKernel } from '../../../shared/simd/wasm-kernels.js';

/** The algorithm of the Chaskey paper for messages of any length, with BigInt for doubling in GF(2^128). */
function slow(key: Uint8Array, message: Uint8Array): number[] {
  const wordsOf = (bytes: Uint8Array) =>
    [0, 4, 8, 12].map((at) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true));
  const double = (words: number[]) => {
    let value = words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n) << 1n;
    if (value >> 128n) value = (value & ((1n << 128n) - 1n)) ^ 0x87n;
    return [0n, 32n, 64n, 96n].map((at) => Number((value >> at) & 0xffffffffn));
  };
  const rotate = (word: number, bits: number) => ((word << bits) | (word >>> (32 - bits))) >>> 0;
  const permute = ([v0 = 0, v1 = 0, v2 = 0, v3 = 0]: number[]) => {
    for (let round = 0; round < 12; round++) {
      v0 = (v0 + v1) >>> 0;
      v1 = (rotate(v1, 5) ^ v0) >>> 0;
      v0 = rotate(v0, 16);
      v2 = (v2 + v3) >>> 0;
      v3 = (rotate(v3, 8) ^ v2) >>> 0;
      v0 = (v0 + v3) >>> 0;
      v3 = (rotate(v3, 13) ^ v0) >>> 0;
      v2 = (v2 + v1) >>> 0;
      v1 = (rotate(v1, 7) ^ v2) >>> 0;
      v2 = rotate(v2, 16);
    }
    return [v0, v1, v2, v3];
  };
  const plus = (a: number[], b: number[]) => a.map((word, i) => (word ^ (b[i] as number)) >>> 0);
  const blocks = Math.max(1, Math.ceil(message.length / 16));
  const isWhole = message.length > 0 && message.length % 16 === 0;
  const padded = new Uint8Array(blocks * 16);
  padded.set(message);
  if (!isWhole) padded[message.length] = 1;
  const once = double(wordsOf(key));
  const subkey = isWhole ? once : double(once);
  let state = wordsOf(key);
  for (let block = 0; block < blocks; block++) {
    state = plus(state, wordsOf(padded.subarray(block * 16)));
    if (block === blocks - 1) state = plus(state, subkey);
    state = permute(state);
  }
  return plus(state, subkey);
}

/** The key and tags of the author's reference code (chaskey12.c), for messages 0, 1, … length − 1. */
const KEY = [0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39];
const TAGS: readonly (readonly [number, readonly number[]])[] = [
  [0, [0x43cb1f41, 0x51eba0c2, 0xff0a8ac3, 0x7ee3f642]],
  [1, [0xf9ac2067, 0x9c35a846, 0x441aad3d, 0x777b7330]],
  [12, [0xc040258c, 0xf25392c0, 0x9f6b5dc0, 0x35c3d638]],
  [16, [0x5dd0e2a9, 0xfb5eac8c, 0x633a392e, 0x500c36f3]],
  [36, [0xa98ecb80, 0x5ef583cf, 0x4e20e76e, 0x7873b8f1]],
];
const octetsOf = (words: readonly number[]) => new Uint8Array(Uint32Array.from(words).buffer);

const octets = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
const wordsIn = (bytes: Uint8Array) => new Int32Array(bytes.slice().buffer);

describe('Chaskey-12', () => {
  test.each(TAGS)('by the oracle equals the author’s test vector of %d octets', (length, tag) => {
    const message = Uint8Array.from({ length }, (_, i) => i);
    expect(slow(octetsOf(KEY), message)).toEqual(tag);
  });

  test('of any twelve octets under any key equals the oracle’s', () => {
    fc.assert(
      fc.property(octets(16), octets(12), (key, message) => {
        const mac = new Chaskey(key);
        const [x = 0, y = 0, z = 0] = wordsIn(message);
        mac.tag12(x, y, z);
        expect([mac.first >>> 0, mac.second >>> 0]).toEqual(slow(key, message).slice(0, 2));
      }),
      { numRuns: 1000 },
    );
  });

  test('of any 36 octets under any key equals the oracle’s', () => {
    fc.assert(
      fc.property(octets(16), octets(36), (key, message) => {
        const mac = new Chaskey(key);
        const words = new Int32Array(12);
        words.set(wordsIn(message));
        mac.tag36(words);
        expect([mac.first >>> 0, mac.second >>> 0]).toEqual(slow(key, message).slice(0, 2));
      }),
      { numRuns: 1000 },
    );
  });

  test('of many messages at once equals that of each, however many there are', () => {
    const mac = new Chaskey(octetsOf(KEY));
    for (const count of [1, 2, 3, 4, 5, 7, 8, 63, 64, 255, 256]) {
      const kernel = new TagKernel(256);
      for (let i = 0; i < count; i++) {
        kernel.x[i] = Math.imul(i + 1, 0x9e3779b9);
        kernel.y[i] = Math.imul(i + 7, 0x85ebca6b);
        kernel.z[i] = i * 65537;
      }
      mac.tagMany(kernel, count);
      for (let i = 0; i < count; i++) {
        mac.tag12(kernel.x[i] as number, kernel.y[i] as number, kernel.z[i] as number);
        expect([kernel.firsts[i], kernel.seconds[i]]).toEqual([mac.first >>> 0, mac.second >>> 0]);
      }
    }
  });

  test('of many long messages at once equals that of each, with one source address and with many', () => {
    const mac = new Chaskey(octetsOf(KEY));
    const ours = [0x20010db8, 0x00050006, 0x12000000, 0x34000000];
    const message = new Int32Array(12);
    for (const areAllSame of [true, false]) {
      for (const count of [1, 3, 4, 5, 255, 256]) {
        const kernel = new TagKernel(256);
        const { w0, w1, w2, y, z, high, low } = kernel;
        for (const [n, column] of [w0, w1, w2, y, z].entries()) {
          for (let i = 0; i < count; i++) column[i] = Math.imul(i + n, 0x9e3779b9);
        }
        for (let i = 0; !areAllSame && i < count; i++) {
          high[i] = i * 5;
          low[i] = i * 77_777;
        }
        mac.tagManyLong(kernel, ours, areAllSame, count);
        for (let i = 0; i < count; i++) {
          message.set(ours);
          message[2] = (message[2] as number) | (high[i] as number);
          message[3] = (message[3] as number) | (low[i] as number);
          for (const [n, column] of [w0, w1, w2, y, z].entries())
            message[4 + n] = column[i] as number;
          mac.tag36(message);
          expect([kernel.firsts[i], kernel.seconds[i]]).toEqual([
            mac.first >>> 0,
            mac.second >>> 0,
          ]);
        }
      }
    }
  });
});
