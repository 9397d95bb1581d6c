/**
 * Dissects one captured frame in place. `dissect` does all length checks and then sets the views of a
 * `Dissection`; after `OK`, no accessor of a view can read beyond the end. This holds until the frame's
 * buffer is refilled, which is when the next frame arrives.
 *
 * Malformed frames are data: a reject code indexes a counter, nothing throws. Checksums are not verified:
 * interfaces do that, and frames captured on veth or loopback carry partial ones.
 */
import { Endpoint, Flow } from '../net/endpoint.js';
import { ipOffsetIn } from './ethernet.js';
import { ICMP_OCTETS, ICMP_QUOTE_OCTETS, IcmpView, quotesPacket, quotesPacketV6 } from './icmp.js';
import { IPV4_OCTETS, Ipv4View, PROTOCOL_ICMP, PROTOCOL_TCP } from './ipv4.js';
import { ExtensionWalk, IPV6_OCTETS, Ipv6View, NEXT_ICMPV6 } from './ipv6.js';
import { TCP_OCTETS, TcpView } from './tcp.js';

/** The outcome of a dissection. Everything but `OK` is a reason to count and drop the frame. */
export const REJECT = {
  OK: 0,
  /** No IP header follows the link header. */
  NOT_IP: 1,
  /** Shorter than its headers say, or than headers can be. */
  TRUNCATED: 2,
  /** A header contradicts itself: version, header length or total length. */
  MALFORMED: 3,
  /** A fragment other than the first: it has no transport header. */
  FRAGMENT: 4,
  /** Neither TCP nor an ICMP error about TCP. */
  OTHER_PROTOCOL: 5,
} as const;

/** Names of the reject codes, as in metrics: `notIp`. */
export const REJECT_NAMES = Object.keys(REJECT).map((name) =>
  name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
);

export type LinkLayer = 'ethernet' | 'ip';

/** The views of one frame, and its flow. `quotedTcp` has only its first eight octets. */
export class Dissection {
  readonly ipv4: Ipv4View;
  readonly ipv6: Ipv6View;
  readonly tcp: TcpView;
  readonly icmp: IcmpView;
  readonly quotedTcp: TcpView;
  /** The flow of the probe that this answers, if it is a reply: the segment reversed, or the quoted one. */
  readonly flow = new Flow();
  /** The sender of the frame. */
  readonly responder = new Endpoint();
  /** The family whose view is set: `ipv4` or `ipv6`. */
  isIpv6 = false;
  /** True if `tcp` is set; else `icmp` and `quotedTcp` are. */
  isTcp = false;
  readonly #quotedIpv4: Ipv4View;
  readonly #quotedIpv6: Ipv6View;
  readonly #walk = new ExtensionWalk();

  constructor(view: DataView) {
    this.ipv4 = new Ipv4View(view);
    this.ipv6 = new Ipv6View(view);
    this.tcp = new TcpView(view);
    this.icmp = new IcmpView(view);
    this.quotedTcp = new TcpView(view);
    this.#quotedIpv4 = new Ipv4View(view);
    this.#quotedIpv6 = new Ipv6View(view);
  }

  /** Time to live, or hop limit. */
  get timeToLive(): number {
    return this.isIpv6 ? this.ipv6.hopLimit : this.ipv4.timeToLive;
  }
  /** 0 if there is none. */
  get identification(): number {
    return this.isIpv6 ? 0 : this.ipv4.identification;
  }

  /** @param start, end octets of the frame within the view: [start, end) @returns a `REJECT` code */
  dissect(link: LinkLayer, start: number, end: number): number {
    const { view } = this.ipv4;
    const at = link === 'ethernet' ? ipOffsetIn(view, start, end) : start;
    if (at < 0) return REJECT.NOT_IP;
    if (at >= end) return REJECT.TRUNCATED;
    const version = view.getUint8(at) >>> 4;
    if (version === 4) return this.#dissectIpv4(at, end);
    return version === 6 ? this.#dissectIpv6(at, end) : REJECT.MALFORMED;
  }

  #dissectIpv4(at: number, limit: number): number {
    if (at + IPV4_OCTETS > limit) return REJECT.TRUNCATED;
    const ip = this.ipv4;
    ip.at = at;
    const { headerOctets, totalLength } = ip;
    if (headerOctets < IPV4_OCTETS || totalLength < headerOctets) return REJECT.MALFORMED;
    if (at + headerOctets > limit) return REJECT.TRUNCATED;
    if (ip.fragmentOffset !== 0) return REJECT.FRAGMENT;
    this.isIpv6 = false;
    this.responder.setIpv4(ip.source);
    const payload = at + headerOctets;
    // Captures are cut at the snap length, and Ethernet pads short frames: the shorter end counts.
    const end = Math.min(limit, at + totalLength);
    const { protocol } = ip;
    if (protocol === PROTOCOL_TCP) {
      this.flow.source.setIpv4(ip.destination);
      this.flow.target.setIpv4(ip.source);
      return this.#dissectTcp(payload, end);
    }
    return protocol === PROTOCOL_ICMP ? this.#dissectIcmp(payload, end) : REJECT.OTHER_PROTOCOL;
  }

  #dissectIpv6(at: number, limit: number): number {
    if (at + IPV6_OCTETS > limit) return REJECT.TRUNCATED;
    const ip = this.ipv6;
    ip.at = at;
    const end = Math.min(limit, at + IPV6_OCTETS + ip.payloadLength);
    const walk = this.#walk;
    if (!walk.walk(ip.view, at + IPV6_OCTETS, ip.nextHeader, end)) return REJECT.TRUNCATED;
    if (walk.isLaterFragment) return REJECT.FRAGMENT;
    this.isIpv6 = true;
    ip.readSource(this.responder);
    if (walk.protocol === PROTOCOL_TCP) {
      ip.readDestination(this.flow.source);
      ip.readSource(this.flow.target);
      return this.#dissectTcp(walk.at, end);
    }
    return walk.protocol === NEXT_ICMPV6 ? this.#dissectIcmp(walk.at, end) : REJECT.OTHER_PROTOCOL;
  }

  #dissectTcp(at: number, end: number): number {
    if (at + TCP_OCTETS > end) return REJECT.TRUNCATED;
    const { tcp, flow } = this;
    tcp.at = at;
    const { headerOctets } = tcp;
    if (headerOctets < TCP_OCTETS) return REJECT.MALFORMED;
    if (at + headerOctets > end) return REJECT.TRUNCATED;
    flow.source.port = tcp.destinationPort;
    flow.target.port = tcp.sourcePort;
    this.isTcp = true;
    return REJECT.OK;
  }

  #dissectIcmp(at: number, end: number): number {
    if (at + ICMP_OCTETS > end) return REJECT.TRUNCATED;
    this.icmp.at = at;
    const { type } = this.icmp;
    if (!(this.isIpv6 ? quotesPacketV6(type) : quotesPacket(type))) return REJECT.OTHER_PROTOCOL;
    // A quote may be cut anywhere after eight octets of the inner transport header (RFC 792), so its total
    // length is meaningless here.
    const quote = at + ICMP_OCTETS;
    const verdict = this.isIpv6 ? this.#readQuoteV6(quote, end) : this.#readQuote(quote, end);
    if (verdict !== REJECT.OK) return verdict;
    this.flow.source.port = this.quotedTcp.sourcePort;
    this.flow.target.port = this.quotedTcp.destinationPort;
    this.isTcp = false;
    return REJECT.OK;
  }

  #readQuote(at: number, end: number): number {
    if (at + IPV4_OCTETS > end) return REJECT.TRUNCATED;
    const ip = this.#quotedIpv4;
    ip.at = at;
    const { headerOctets } = ip;
    if (ip.version !== 4 || headerOctets < IPV4_OCTETS) return REJECT.MALFORMED;
    if (at + headerOctets + ICMP_QUOTE_OCTETS > end) return REJECT.TRUNCATED;
    if (ip.fragmentOffset !== 0) return REJECT.FRAGMENT;
    if (ip.protocol !== PROTOCOL_TCP) return REJECT.OTHER_PROTOCOL;
    this.quotedTcp.at = at + headerOctets;
    this.flow.source.setIpv4(ip.source);
    this.flow.target.setIpv4(ip.destination);
    return REJECT.OK;
  }

  #readQuoteV6(at: number, end: number): number {
    if (at + IPV6_OCTETS > end) return REJECT.TRUNCATED;
    const ip = this.#quotedIpv6;
    ip.at = at;
    if (ip.version !== 6) return REJECT.MALFORMED;
    const walk = this.#walk;
    if (!walk.walk(ip.view, at + IPV6_OCTETS, ip.nextHeader, end)) return REJECT.TRUNCATED;
    if (walk.isLaterFragment) return REJECT.FRAGMENT;
    if (walk.at + ICMP_QUOTE_OCTETS > end) return REJECT.TRUNCATED;
    if (walk.protocol !== PROTOCOL_TCP) return REJECT.OTHER_PROTOCOL;
    this.quotedTcp.at = walk.at;
    ip.readSource(this.flow.source);
    ip.readDestination(this.flow.target);
    return REJECT.OK;
  }
}
