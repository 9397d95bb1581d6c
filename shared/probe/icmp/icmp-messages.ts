/**
 * Messages of the ICMP probes. The first word of the cookie is stored in the fields for identifier and sequence
 * number, so that an ICMP error that quotes only the first eight octets of a message has it; the second word is in
 * the data.
 */
import type { Endpoint } from '../../net/endpoint.js';
import { foldChecksum, sumOf32, sumWords } from '../../packet/checksum.js';
import { ICMP_OCTETS, IcmpView } from '../../packet/icmp.js';
import { PROTOCOL_ICMP } from '../../packet/ipv4.js';
import { NEXT_ICMPV6 } from '../../packet/ipv6.js';
import { IpHeader } from '../ip-header.js';
import type { Family, PacketMaker } from '../probe.js';
import type { ProbeBatch } from '../probe-batch.js';

/** The shape of a message; offsets are counted from the start of the message. */
export interface MessageShape {
  readonly type: number;
  /** Octets of the message, header included. */
  readonly octets: number;
  readonly ttl: number;
  /** Bits of the second word of the cookie that are always set to one. */
  readonly cookieMask: number;
  /** Offset of our clock; 0 if the message has none. */
  readonly stampAt: number;
}

/** Offset of the second word of the cookie. */
export const COOKIE_AT = ICMP_OCTETS;

export class IcmpMessages implements PacketMaker {
  readonly #shape: MessageShape;
  readonly #ip: IpHeader;
  readonly #icmp: IcmpView;
  readonly #isIpv6: boolean;
  /** Sum of the constant words; for ICMPv6 it includes those of the pseudo-header (RFC 4443 §2.3). */
  #sum = 0;

  constructor(view: DataView, family: Family, shape: MessageShape) {
    this.#shape = shape;
    this.#ip = new IpHeader(view, family);
    this.#icmp = new IcmpView(view);
    this.#isIpv6 = family === 6;
  }

  layOut(at: number): void {
    const { type, octets, ttl } = this.#shape;
    const icmp = this.#icmp;
    const protocol = this.#isIpv6 ? NEXT_ICMPV6 : PROTOCOL_ICMP;
    this.#ip.layOut(at, { payload: octets, ttl, protocol });
    icmp.at = at + this.#ip.octets;
    icmp.layOut(type);
    for (let i = ICMP_OCTETS; i < octets; i++) icmp.view.setUint8(icmp.at + i, 0);
    const pseudoHeader = this.#isIpv6 ? protocol + octets : 0;
    this.#sum = sumWords(icmp.view, icmp.at, octets, pseudoHeader);
  }

  make(batch: ProbeBatch, sources: readonly Endpoint[], stamp: number): void {
    const { stampAt, cookieMask } = this.#shape;
    const ip = this.#ip;
    const icmp = this.#icmp;
    const isIpv6 = this.#isIpv6;
    const { view } = icmp;
    const sum = this.#sum + (stampAt > 0 ? sumOf32(stamp) : 0);
    const { count, sequence, identification, packetAt, addressSums } = batch;
    ip.write(batch, sources);
    for (let i = 0; i < count; i++) {
      const first = sequence[i] as number;
      const second = ((identification[i] as number) | cookieMask) >>> 0;
      icmp.at = (packetAt[i] as number) + ip.octets;
      icmp.identifiers = first;
      view.setUint32(icmp.at + COOKIE_AT, second);
      const cookies = sumOf32(first) + sumOf32(second);
      icmp.checksum = foldChecksum(sum + (isIpv6 ? (addressSums[i] as number) : 0) + cookies);
      if (stampAt > 0) view.setUint32(icmp.at + stampAt, stamp);
    }
  }
}
