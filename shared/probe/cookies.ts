/**
 * SYN cookies for stateless validation: a probe carries a keyed hash (MAC) of its flow, and a reply must echo
 * it. With the survey key, any agent can validate replies to any probe; without it, replies cannot be forged.
 */
import type { Endpoint, Flow } from '../net/endpoint.js';
import type { PortRange } from '../net/ports.js';
import { Chaskey } from './chaskey.js';
import type { ProbeBatch } from './probe-batch.js';

export const KEY_OCTETS = 16;
/** Nine of an IPv6 flow, and room for the padding of a block of four. */
const WORDS = 12;

export class CookieMac {
  readonly #mac: Chaskey;
  readonly #choiceKey: number;
  readonly #words = new Int32Array(WORDS);

  /** @param key the survey key: sixteen random octets, never derived from the seed */
  constructor(key: Uint8Array) {
    if (key.length !== KEY_OCTETS) throw new RangeError(`a survey key has ${KEY_OCTETS} octets`);
    this.#mac = new Chaskey(key);
    this.#mac.tag12(0, 0, 0);
    this.#choiceKey = this.#mac.first;
  }

  /** 32 bits, unsigned, of the last flow: TCP's sequence number. */
  get sequence(): number {
    return this.#mac.first >>> 0;
  }

  /** 16 more bits of the last flow, for fields that only need to look random. */
  get identification(): number {
    return this.#mac.second & 0xffff;
  }

  /** Computes the cookie of a flow. */
  compute({ source, target }: Flow): void {
    const ports = (source.port << 16) | target.port;
    if (target.isIpv4) this.#mac.tag12(source.w3, target.w3, ports);
    else {
      const words = this.#words;
      this.#setSource(source);
      words[4] = target.w0;
      words[5] = target.w1;
      words[6] = target.w2;
      words[7] = target.w3;
      words[8] = ports;
      this.#mac.tag36(words);
    }
  }

  /** Chooses source address and port for each target of a batch: always the same ones. */
  choose(batch: ProbeBatch, sources: readonly Endpoint[], from: PortRange): void {
    const { count, w1, w3, port, source, sourceW3, ports } = batch;
    const key = this.#choiceKey;
    const portCount = from.to - from.from;
    const { length } = sources;
    if (length === 1) {
      source.fill(0, 0, count);
      sourceW3.fill(sources[0]?.w3 ?? 0, 0, count);
    }
    for (let i = 0; i < count; i++) {
      const theirs = port[i] as number;
      const mixed = Math.imul((w3[i] as number) ^ key, 0x7feb352d) ^ (w1[i] as number);
      const choice = Math.imul(mixed ^ (mixed >>> 15) ^ theirs, 0x846ca68b);
      const ours = from.from + (((choice >>> 16) * portCount) >>> 16);
      ports[i] = (ours << 16) | theirs;
      if (length > 1) {
        source[i] = ((choice & 0xffff) * length) >>> 16;
        sourceW3[i] = (sources[source[i] as number] as Endpoint).w3;
      }
    }
  }

  /** Computes the cookies of a batch of IPv4 probes. */
  computeIpv4(batch: ProbeBatch): void {
    this.#mac.tagMany(batch.tags, batch.count);
  }

  /** Computes the cookies of a batch of IPv6 probes. */
  computeIpv6(batch: ProbeBatch, sources: readonly Endpoint[]): void {
    const { count, w0, w1, w2, w3, ports, source } = batch;
    const words = this.#words;
    for (let i = 0; i < count; i++) {
      this.#setSource(sources[source[i] as number] as Endpoint);
      words[4] = w0[i] as number;
      words[5] = w1[i] as number;
      words[6] = w2[i] as number;
      words[7] = w3[i] as number;
      words[8] = ports[i] as number;
      this.#mac.tag36(words);
      batch.sequence[i] = this.#mac.first;
      batch.identification[i] = this.#mac.second;
    }
  }

  #setSource({ w0, w1, w2, w3 }: Endpoint): void {
    const words = this.#words;
    words[0] = w0;
    words[1] = w1;
    words[2] = w2;
    words[3] = w3;
  }
}
