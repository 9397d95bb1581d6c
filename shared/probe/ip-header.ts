/**
 * The IP header of a probe. Constant fields are written once per frame, addresses and identification once per
 * probe. The identification (IPv6: the flow label, RFC 6437) looks random and is the same for a target each
 * time.
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
   * Writes the headers of all probes of a batch. Stores the unfolded sum of the two addresses of each probe
   * in `batch.addressSums`, for checksums that include a pseudo-header.
   */
  write(batch: ProbeBatch, sources: readonly Endpoint[]): void {
    if (this.#ipv4 === undefined) writeIpv6(this.#ipv6, batch, sources);
    else writeIpv4(this.#ipv4, this.#sum, batch);
  }
}

function writeIpv4(ipv4: Ipv4View, sum: number, batch: ProbeBatch): void {
  const { count, w3, sourceW3, identification, packetAt, addressSums } = batch;
  for (let i = 0; i < count; i++) {
    const from = sourceW3[i] as number;
    const to = w3[i] as number;
    const id = (identification[i] as number) & 0xffff;
    const addresses = sumOf32(from) + sumOf32(to);
    ipv4.at = packetAt[i] as number;
    ipv4.identification = id;
    ipv4.source = from;
    ipv4.destination = to;
    ipv4.checksum = foldChecksum(sum + id + addresses);
    addressSums[i] = addresses;
  }
}

function writeIpv6(ipv6: Ipv6View, batch: ProbeBatch, sources: readonly Endpoint[]): void {
  const { count, w0, w1, w2, w3, source, hostHigh, hostLow } = batch;
  const { identification, packetAt, addressSums } = batch;
  // The bits of the host are zero in the source address, so their sums can be added to its own.
  const sums = sources.map((from) => from.words.reduce((sum, word) => sum + sumOf32(word), 0));
  const { length } = sources;
  let from = sources[0] as Endpoint;
  let sum = sums[0] as number;
  for (let i = 0; i < count; i++) {
    if (length > 1) {
      from = sources[source[i] as number] as Endpoint;
      sum = sums[source[i] as number] as number;
    }
    const a = w0[i] as number;
    const b = w1[i] as number;
    const c = w2[i] as number;
    const d = w3[i] as number;
    const high = hostHigh[i] as number;
    const low = hostLow[i] as number;
    ipv6.at = packetAt[i] as number;
    ipv6.flowLabel = (identification[i] as number) & 0xffff;
    ipv6.setSource(from.w0, from.w1, from.w2 | high, from.w3 | low);
    ipv6.setDestination(a, b, c, d);
    const theirs = sumOf32(a) + sumOf32(b) + sumOf32(c) + sumOf32(d);
    addressSums[i] = sum + sumOf32(high) + sumOf32(low) + theirs;
  }
}
