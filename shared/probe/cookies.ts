/**
 * Cookies make validation stateless: what a probe carries is a keyed hash of its flow, and an answer
 * must echo it. Whoever holds the survey key can check any answer to anyone's probe; whoever does
 * not cannot forge one.
 */
import { SipHash } from './siphash.js';

const KEY_OCTETS = 16;

export class CookieJar {
  readonly #hash: SipHash;
  readonly #portKey: number;

  /** @param key the survey key: sixteen random octets, never derived from the seed */
  constructor(key: Uint8Array) {
    if (key.length !== KEY_OCTETS) throw new RangeError(`a survey key has ${KEY_OCTETS} octets`);
    this.#hash = new SipHash(key);
    this.#hash.hash(0, 0, 0);
    this.#portKey = this.#hash.low;
  }

  /** 32 bits, unsigned, of the last flow: what TCP carries as its sequence number. */
  get sequence(): number {
    return this.#hash.low >>> 0;
  }

  /** 16 more bits of the last flow, for fields that only need to look random. */
  get identification(): number {
    return this.#hash.high & 0xffff;
  }

  /** Bakes the cookie of a flow, seen from the prober. Host order. */
  bake(source: number, sourcePort: number, address: number, port: number): void {
    this.#hash.hash(source, address, (sourcePort << 16) | port);
  }

  /** Which of `count` source ports probes a target: 0 ≤ choice < count ≤ 65,536. */
  sourcePortChoice(address: number, port: number, count: number): number {
    let mixed = Math.imul(address ^ this.#portKey, 0x7feb352d);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed ^ port, 0x846ca68b);
    return ((mixed >>> 16) * count) >>> 16;
  }
}
