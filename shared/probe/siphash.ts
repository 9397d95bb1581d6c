/**
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012) of
 * exactly twelve octets: a flow's two addresses and two ports. 64-bit words are pairs of 32-bit
 * integers, because BigInt costs fifty times as much.
 */

/** Length of the message in the top octet of its last word, as the paper's padding has it. */
const LENGTH_BITS = 12 << 24;
/** Two compression rounds for each of the two message words, then four to finish. */
const ROUNDS = 8;

export class SipHash {
  readonly #k0Low: number;
  readonly #k0High: number;
  readonly #k1Low: number;
  readonly #k1High: number;

  /** The low and the high half of the last hash, signed. */
  low = 0;
  high = 0;

  /** @param key sixteen octets, little-endian words as in the paper */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, 16);
    this.#k0Low = view.getInt32(0, true);
    this.#k0High = view.getInt32(4, true);
    this.#k1Low = view.getInt32(8, true);
    this.#k1High = view.getInt32(12, true);
  }

  /**
   * Hashes the twelve octets x, y, z (little-endian 32-bit words) into `low` and `high`. One
   * function with all of its state in locals, carries taken without branches: a carry is a coin
   * toss, and mispredicted jumps more than double the time.
   */
  hash(x: number, y: number, z: number): void {
    let v0 = this.#k0Low ^ 0x70736575;
    let w0 = this.#k0High ^ 0x736f6d65;
    let v1 = this.#k1Low ^ 0x6e646f6d;
    let w1 = this.#k1High ^ 0x646f7261;
    let v2 = this.#k0Low ^ 0x6e657261;
    let w2 = this.#k0High ^ 0x6c796765;
    let v3 = this.#k1Low ^ x ^ 0x79746573;
    let w3 = this.#k1High ^ y ^ 0x74656462;
    for (let round = 0; round < ROUNDS; round++) {
      if (round === 2) {
        v0 ^= x;
        w0 ^= y;
        v3 ^= z;
        w3 ^= LENGTH_BITS;
      } else if (round === 4) {
        v0 ^= z;
        w0 ^= LENGTH_BITS;
        v2 ^= 0xff;
      }
      let low: number;
      // v0 += v1; v1 <<<= 13; v1 ^= v0; v0 <<<= 32
      low = (v0 + v1) | 0;
      w0 = (w0 + w1 + (((v0 & v1) | ((v0 | v1) & ~low)) >>> 31)) | 0;
      v0 = w0;
      w0 = low;
      low = (v1 << 13) | (w1 >>> 19);
      w1 = ((w1 << 13) | (v1 >>> 19)) ^ v0;
      v1 = low ^ w0;
      // v2 += v3; v3 <<<= 16; v3 ^= v2
      low = (v2 + v3) | 0;
      w2 = (w2 + w3 + (((v2 & v3) | ((v2 | v3) & ~low)) >>> 31)) | 0;
      v2 = low;
      low = (v3 << 16) | (w3 >>> 16);
      w3 = ((w3 << 16) | (v3 >>> 16)) ^ w2;
      v3 = low ^ v2;
      // v0 += v3; v3 <<<= 21; v3 ^= v0
      low = (v0 + v3) | 0;
      w0 = (w0 + w3 + (((v0 & v3) | ((v0 | v3) & ~low)) >>> 31)) | 0;
      v0 = low;
      low = (v3 << 21) | (w3 >>> 11);
      w3 = ((w3 << 21) | (v3 >>> 11)) ^ w0;
      v3 = low ^ v0;
      // v2 += v1; v1 <<<= 17; v1 ^= v2; v2 <<<= 32
      low = (v2 + v1) | 0;
      w2 = (w2 + w1 + (((v2 & v1) | ((v2 | v1) & ~low)) >>> 31)) | 0;
      v2 = w2;
      w2 = low;
      low = (v1 << 17) | (w1 >>> 15);
      w1 = ((w1 << 17) | (v1 >>> 15)) ^ v2;
      v1 = low ^ w2;
    }
    this.low = v0 ^ v1 ^ v2 ^ v3;
    this.high = w0 ^ w1 ^ w2 ^ w3;
  }
}
