/**
 * The IP header of a probe: constant fields once per frame, addresses and identification per probe. The
 * identification (IPv6: the flow label, RFC 6437) looks random and is the same for a target each time.
 */
import type { Endpoint } from '../net/endpoint.js';
import { foldChecksum, sumOf32 } from '../packet/checksum.js';
import { IPV4_OCTETS, Ipv4View } from '../packet/ipv4.js';
import { IPV6_OCTETS, Ipv6View } from '../packet/ipv6.js';
import type { Family } from './probe.js';
import type { ProbeBatch } from './probe-batch.js';

export function ipOctets(family: Family): number {
  return family === 4 ? IPV4_OCTETS : IPV6_OCTETS;
}

export class IpHeader {
  /** Octets of the header. */
  readonly octets: number;
  readonly #ipv4: Ipv4View | undefined;
  readonly #ipv6: Ipv6View;
  /** Sum of the constant words of an IPv4 header. */
  #sum = 0;

  constructor(view: DataView, family: Family) {
    this.octets = ipOctets(family);
    this.#ipv4 = family === 4 ? new Ipv4View(view) : undefined;
    this.#ipv6 = new Ipv6View(view);
  }

  layOut(at: number, fields: { payload: number; ttl: number; protocol: number }): void {
    const { payload, ttl, protocol } = fields;
    const ipv4 = this.#ipv4;
    if (ipv4 !== undefined) {
      ipv4.at = at;
      const totalLength = IPV4_OCTETS + payload;
      this.#sum = ipv4.layOut({ totalLength, timeToLive: ttl, protocol });
    } else {
      this.#ipv6.at = at;
      this.#ipv6.layOut({ payloadLength: payload, hopLimit: ttl, nextHeader: protocol });
    }
  }

  /**
   * Writes the header of probe `row`.
   * @returns the unfolded sum of both addresses, which checksums with a pseudo-header include
   */
  write(batch: ProbeBatch, row: number, sources: readonly Endpoint[]): number {
    const at = batch.packetAt[row] as number;
    const id = (batch.identification[row] as number) & 0xffff;
    const ipv4 = this.#ipv4;
    if (ipv4 !== undefined) {
      const from = batch.sourceW3[row] as number;
      const to = batch.w3[row] as number;
      const addresses = sumOf32(from) + sumOf32(to);
      ipv4.at = at;
      ipv4.identification = id;
      ipv4.source = from;
      ipv4.destination = to;
      ipv4.checksum = foldChecksum(this.#sum + id + addresses);
      return addresses;
    }
    const ipv6 = this.#ipv6;
    const from = sources[batch.source[row] as number] as Endpoint;
    const a = batch.w0[row] as number;
    const b = batch.w1[row] as number;
    const c = batch.w2[row] as number;
    const d = batch.w3[row] as number;
    ipv6.at = at;
    ipv6.flowLabel = id;
    ipv6.setSource(from.w0, from.w1, from.w2, from.w3);
    ipv6.setDestination(a, b, c, d);
    const ours = sumOf32(from.w0) + sumOf32(from.w1) + sumOf32(from.w2) + sumOf32(from.w3);
    return ours + sumOf32(a) + sumOf32(b) + sumOf32(c) + sumOf32(d);
  }
}
