/**
 * Segments of the TCP probes. The cookie is the sequence number, and, in probes with ACK, the acknowledgment
 * number too: whichever of them a host's reset repeats (RFC 9293 §3.10.7.1), it repeats the cookie.
 */
import type { Endpoint } from '../../net/endpoint.js';
import { foldChecksum, sumOf32, sumWords } from '../../packet/checksum.js';
import { PROTOCOL_TCP } from '../../packet/ipv4.js';
import { FLAG_ACK, TCP_OCTETS, TcpView } from '../../packet/tcp.js';
import { IpHeader } from '../ip-header.js';
import type { Family, PacketMaker } from '../probe.js';
import type { ProbeBatch } from '../probe-batch.js';

/** The constant fields of a segment. */
export interface SegmentShape {
  readonly flags: number;
  readonly window: number;
  readonly options: readonly number[];
  /** Offset of the timestamp's value, from the start of the TCP header; 0 if there is none. */
  readonly stampAt: number;
  readonly ttl: number;
}

export class TcpSegments implements PacketMaker {
  readonly #shape: SegmentShape;
  readonly #ip: IpHeader;
  readonly #tcp: TcpView;
  /** Sum of the constant words, the pseudo-header's included (RFC 9293 §3.1, RFC 8200 §8.1). */
  #sum = 0;

  constructor(view: DataView, family: Family, shape: SegmentShape) {
    this.#shape = shape;
    this.#ip = new IpHeader(view, family);
    this.#tcp = new TcpView(view);
  }

  layOut(at: number): void {
    const { flags, window, options, ttl } = this.#shape;
    const octets = TCP_OCTETS + options.length;
    const tcp = this.#tcp;
    this.#ip.layOut(at, { payload: octets, ttl, protocol: PROTOCOL_TCP });
    tcp.at = at + this.#ip.octets;
    tcp.layOut({ flags, window, options });
    this.#sum = sumWords(tcp.view, tcp.at, octets, PROTOCOL_TCP + octets);
  }

  make(batch: ProbeBatch, sources: readonly Endpoint[], stamp: number): void {
    const { flags, stampAt } = this.#shape;
    const hasAck = (flags & FLAG_ACK) !== 0;
    const tcp = this.#tcp;
    const { octets } = this.#ip;
    const { count, ports, sequence, packetAt, addressSums } = batch;
    this.#ip.write(batch, sources);
    // The timestamp is the same for a whole batch, so its part of the checksums is constant, too.
    const sum = this.#sum + (stampAt > 0 ? sumOf32(stamp) : 0);
    const cookieTimes = hasAck ? 2 : 1;
    for (let i = 0; i < count; i++) {
      const cookie = sequence[i] as number;
      const both = ports[i] as number;
      tcp.at = (packetAt[i] as number) + octets;
      tcp.ports = both;
      tcp.sequence = cookie;
      tcp.checksum = foldChecksum(
        sum + (addressSums[i] as number) + sumOf32(both) + cookieTimes * sumOf32(cookie),
      );
    }
    for (let i = 0; hasAck && i < count; i++) {
      tcp.at = (packetAt[i] as number) + octets;
      tcp.acknowledgment = sequence[i] as number;
    }
    for (let i = 0; stampAt > 0 && i < count; i++) {
      tcp.view.setUint32((packetAt[i] as number) + octets + stampAt, stamp);
    }
  }
}
