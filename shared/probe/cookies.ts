/**
 * SYN cookies for stateless validation: a probe carries a keyed hash (MAC) of its flow, and a reply must echo
 * it. With the key of a shard's lease, its holder can validate the replies to all of its probes; without the key, they
 * cannot be forged.
 */
import { createHmac } from 'node:crypto';
import type { Endpoint, Flow, Target } from '../net/endpoint.js';
import type { Prefix6 } from '../net/ipv6.js';
import type { PortRange } from '../net/ports.js';
import { Chaskey } from './chaskey.js';
import type { ProbeBatch } from './probe-batch.js';

export const KEY_OCTETS = 16;
/** Nine words of an IPv6 flow, and three for the padding to whole blocks of four. */
const WORDS = 12;

/**
 * The key of the cookies of one probe of a lease: a reply to one probe is not valid for another one.
 * @param leaseKey sixteen octets
 */
export function probeKey(leaseKey: Uint8Array, probe: number): Uint8Array {
  const digest = createHmac('sha256', leaseKey).update(`probe ${probe}`).digest();
  return new Uint8Array(digest.subarray(0, KEY_OCTETS));
}

/** The cookies of replies, whichever key they were made with. */
export interface Cookies {
  /** The cookie of the last flow, 32 bits, unsigned. TCP probes send it as their sequence number. */
  readonly sequence: number;
  /** 32 more bits of the last flow's cookie, unsigned. Their low half is also the IP identification. */
  readonly second: number;
  /**
   * Computes the cookie of a flow.
   * @param ourPort 0 for probes whose cookie covers no source port
   * @returns false if no probe of ours has this flow
   */
  compute(flow: Flow, ourPort?: number): boolean;
  /** Our port of the probe to a target of the last flow. */
  sourcePortTo(target: Target, from: PortRange): number;
}

export class CookieMac implements Cookies {
  readonly #mac: Chaskey;
  readonly #choiceKey: number;
  readonly #words = new Int32Array(WORDS);

  /** @param key of the probe: sixteen octets that nobody can guess, see `probeKey` */
  constructor(key: Uint8Array) {
    if (key.length !== KEY_OCTETS) throw new RangeError(`a key has ${KEY_OCTETS} octets`);
    this.#mac = new Chaskey(key);
    this.#mac.tag12(0, 0, 0);
    this.#choiceKey = this.#mac.first;
  }

  get sequence(): number {
    return this.#mac.first >>> 0;
  }

  get second(): number {
    return this.#mac.second >>> 0;
  }

  compute({ source, target }: Flow, ourPort = source.port): boolean {
    const ports = (ourPort << 16) | target.port;
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
    return true;
  }

  /** Chooses a source address and port for each target of a batch. The choice for a target is always the same. */
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
      const choice = choiceOf(key, w1[i] as number, w3[i] as number, theirs);
      const ours = from.from + (((choice >>> 16) * portCount) >>> 16);
      ports[i] = (ours << 16) | theirs;
      if (length > 1) {
        source[i] = ((choice & 0xffff) * length) >>> 16;
        sourceW3[i] = (sources[source[i] as number] as Endpoint).w3;
      }
    }
  }

  /**
   * Chooses an address within a source window for each target of a batch of IPv6 probes. The choice for a
   * target is always the same. Of the low 64 bits, those that are not part of the prefix are chosen.
   */
  chooseHosts(batch: ProbeBatch, { length }: Prefix6): void {
    const { count, w0, w1, w2, w3, port, hostHigh, hostLow } = batch;
    const key = this.#choiceKey;
    const highMask = length <= 64 ? -1 : hostMask(length - 64);
    const lowMask = length <= 96 ? -1 : hostMask(length - 96);
    for (let i = 0; i < count; i++) {
      const a = (w0[i] as number) ^ (w2[i] as number);
      const high = choiceOf(
        key ^ 0x9e3779b9,
        a ^ (w1[i] as number),
        w3[i] as number,
        port[i] as number,
      );
      const low = choiceOf(high, a, Math.imul(w3[i] as number, 0x9e3779b1), w1[i] as number);
      hostHigh[i] = (high ^ (high >>> 15)) & highMask;
      hostLow[i] = (low ^ (low >>> 15)) & lowMask;
    }
  }

  /** Our port of the probe to a target, as `choose` chooses it. */
  sourcePortTo({ w1, w3, port }: Target, from: PortRange): number {
    const choice = choiceOf(this.#choiceKey, w1, w3, port);
    return from.from + (((choice >>> 16) * (from.to - from.from)) >>> 16);
  }

  /** Computes the cookies of a batch of IPv4 probes. */
  computeIpv4(batch: ProbeBatch): void {
    this.#mac.tagMany(batch.tags, batch.count);
  }

  /** Computes the cookies of a batch of IPv6 probes. @param hasWindow true if hosts were chosen in a source window */
  computeIpv6(batch: ProbeBatch, sources: readonly Endpoint[], hasWindow: boolean): void {
    const [only, another] = sources;
    if (only !== undefined && another === undefined) {
      this.#mac.tagManyLong(batch.tags, only.words, !hasWindow, batch.count);
      return;
    }
    const { count, w0, w1, w2, w3, ports, source, hostHigh, hostLow } = batch;
    const words = this.#words;
    for (let i = 0; i < count; i++) {
      this.#setSource(sources[source[i] as number] as Endpoint);
      words[2] = (words[2] as number) | (hostHigh[i] as number);
      words[3] = (words[3] as number) | (hostLow[i] as number);
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

/** The bits of a word after its first `length` bits, 0 ≤ length ≤ 32. */
function hostMask(length: number): number {
  return length >= 32 ? 0 : -1 >>> length;
}

/** 32 mixed bits of a target: the high half chooses our port, the low half our address. */
function choiceOf(key: number, w1: number, w3: number, port: number): number {
  const mixed = Math.imul(w3 ^ key, 0x7feb352d) ^ w1;
  return Math.imul(mixed ^ (mixed >>> 15) ^ port, 0x846ca68b);
}
