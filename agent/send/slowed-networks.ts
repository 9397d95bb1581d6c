/**
 * The networks that are probed slowly, because they have reported administrative prohibition: one bit for each IPv4
 * /24, and one for each IPv6 /48, in memory that the main thread and the sender threads share. Two of the 2^48
 * IPv6 networks may have the same bit; then both are slowed.
 */
import type { Endpoint } from '../../shared/net/endpoint.js';

const BITS = 24;
const OCTETS = 2 ** BITS / 8;

export class SlowedNetworks {
  readonly memory: SharedArrayBuffer;
  readonly #bits: Uint8Array;
  readonly #count: Int32Array;

  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(2 * OCTETS + 4);
    this.#bits = new Uint8Array(this.memory, 0, 2 * OCTETS);
    this.#count = new Int32Array(this.memory, 2 * OCTETS, 1);
  }

  get isEmpty(): boolean {
    return this.#count[0] === 0;
  }

  /** Main thread: slows the network around an address. */
  add(address: Endpoint): void {
    const bit = networkBit(address);
    this.#bits[bit >>> 3] = (this.#bits[bit >>> 3] as number) | (1 << (bit & 7));
    Atomics.add(this.#count, 0, 1);
  }

  has(address: Endpoint): boolean {
    const bit = networkBit(address);
    return ((this.#bits[bit >>> 3] as number) & (1 << (bit & 7))) !== 0;
  }
}

/** A number of the network around an address: below 2^24 for IPv4, from 2^24 to 2^25 for IPv6. */
export function networkBit({ w0, w1, w2, w3 }: Endpoint): number {
  if (w2 === 0xffff && w1 === 0 && w0 === 0) return w3 >>> 8;
  const mixed = Math.imul(w0 ^ Math.imul(w1 >>> 16, 0x85ebca6b), 0x9e3779b1);
  return 2 ** BITS + ((mixed ^ (mixed >>> 15)) >>> (32 - BITS));
}
