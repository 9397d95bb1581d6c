/**
 * Chaskey-12 (Mouha, "Chaskey: a MAC Algorithm for Microcontrollers – Status Update and Proposal of
 * Chaskey-12", ePrint 2015/1182; ISO/IEC 29192-6:2019) for messages of exactly 12 or 36 octets: two addresses
 * of either family and two ports.
 *
 * Like SipHash-2-4, it is a keyed hash with a key of 128 bits. It is made of the same steps, but on 32-bit
 * words, because JavaScript lacks 64-bit ones. A tag takes 20 ns; SipHash with pairs of 32-bit words takes 50
 * ns (Xeon, Node 20, 2026-11-23).
 */

import type { TagKernel } from '../simd/wasm-kernels.js';

const ROUNDS = 12;
/** The octet after a message that does not fill its last block (§2 of the paper: 10*). */
const PADDING = 1;
/** x^128 + x^7 + x^2 + x + 1, for doubling in GF(2^128). */
const REDUCTION = 0x87;

export class Chaskey {
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;
  /** The subkey of incomplete last blocks: four times the key. */
  readonly #l0: number;
  readonly #l1: number;
  readonly #l2: number;
  readonly #l3: number;

  /** The initial state for a one-block message (four words), and two words that are XORed into its tag. */
  readonly #block: Int32Array;

  /** The state of a message of several blocks. */
  readonly #state = new Int32Array(4);

  /** The first two words of the last tag, signed. */
  first = 0;
  second = 0;

  /** @param key sixteen octets, little-endian words as in the paper */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, 16);
    const words = [0, 4, 8, 12].map((at) => view.getInt32(at, true));
    const [l0 = 0, l1 = 0, l2 = 0, l3 = 0] = double(double(words));
    const [k0 = 0, k1 = 0, k2 = 0, k3 = 0] = words;
    this.#k0 = k0;
    this.#k1 = k1;
    this.#k2 = k2;
    this.#k3 = k3;
    this.#l0 = l0;
    this.#l1 = l1;
    this.#l2 = l2;
    this.#l3 = l3;
    this.#block = Int32Array.of(k0 ^ l0, k1 ^ l1, k2 ^ l2, k3 ^ l3 ^ PADDING, l0, l1);
  }

  /**
   * Computes the tag of the twelve octets x, y, z (little-endian words) and stores it in `first` and
   * `second`. The message is one block, and all state is in locals.
   */
  tag12(x: number, y: number, z: number): void {
    let v0 = this.#k0 ^ this.#l0 ^ x;
    let v1 = this.#k1 ^ this.#l1 ^ y;
    let v2 = this.#k2 ^ this.#l2 ^ z;
    let v3 = this.#k3 ^ this.#l3 ^ PADDING;
    for (let round = 0; round < ROUNDS; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    this.first = v0 ^ this.#l0;
    this.second = v1 ^ this.#l1;
  }

  /** Tags of many messages of twelve octets. */
  tagMany(kernel: TagKernel, count: number): void {
    kernel.run(this.#block, count);
  }

  /**
   * Tags of many messages of 36 octets whose first four words are the same, apart from the bits in the kernel's
   * `high` and `low`.
   * @param ours the first four words
   * @param areAllSame true if `high` and `low` are all zero
   */
  tagManyLong(
    kernel: TagKernel,
    ours: readonly number[],
    areAllSame: boolean,
    count: number,
  ): void {
    const state = Int32Array.of(this.#k0, this.#k1, this.#k2, this.#k3);
    if (areAllSame) {
      for (let i = 0; i < 4; i++) state[i] = (state[i] as number) ^ (ours[i] as number);
      permute(state);
    }
    const subkey = [this.#l0, this.#l1, this.#l2, this.#l3];
    kernel.runLong([...state, ...subkey, ...ours], areAllSame, count);
  }

  /**
   * Computes the tag of 36 octets, which are the first nine of the twelve words. The last three words are
   * padding; this method writes them.
   */
  tag36(words: Int32Array): void {
    words[9] = PADDING;
    words[10] = 0;
    words[11] = 0;
    const state = this.#state;
    state[0] = this.#k0;
    state[1] = this.#k1;
    state[2] = this.#k2;
    state[3] = this.#k3;
    for (let at = 0; at < 12; at += 4) {
      const isLast = at === 8;
      state[0] = (state[0] as number) ^ (words[at] as number) ^ (isLast ? this.#l0 : 0);
      state[1] = (state[1] as number) ^ (words[at + 1] as number) ^ (isLast ? this.#l1 : 0);
      state[2] = (state[2] as number) ^ (words[at + 2] as number) ^ (isLast ? this.#l2 : 0);
      state[3] = (state[3] as number) ^ (words[at + 3] as number) ^ (isLast ? this.#l3 : 0);
      permute(state);
    }
    this.first = (state[0] as number) ^ this.#l0;
    this.second = (state[1] as number) ^ this.#l1;
  }
}

/** The permutation, of a state of four words. */
function permute(state: Int32Array): void {
  let v0 = state[0] as number;
  let v1 = state[1] as number;
  let v2 = state[2] as number;
  let v3 = state[3] as number;
  for (let round = 0; round < ROUNDS; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  state[0] = v0;
  state[1] = v1;
  state[2] = v2;
  state[3] = v3;
}

/** Doubles an element of GF(2^128), words little-endian. */
function double(words: readonly number[]): number[] {
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words;
  return [
    (w0 << 1) ^ (w3 < 0 ? REDUCTION : 0),
    (w1 << 1) | (w0 >>> 31),
    (w2 << 1) | (w1 >>> 31),
    (w3 << 1) | (w2 >>> 31),
  ];
}
