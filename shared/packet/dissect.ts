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
import {
  ICMP_ECHO_REPLY,
  ICMP_OCTETS,
  ICMP_QUOTE_OCTETS,
  ICMP_TIMESTAMP_REPLY,
  ICMPV6_ECHO_REPLY,
  IcmpView,
  quotesPacket,
  quotesPacketV6,
} from './icmp.js';
import {
  IPV4_OCTETS,
  Ipv4View,
  PROTOCOL_ICMP,
  PROTOCOL_SCTP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from './ipv4.js';
import { ExtensionWalk, IPV6_OCTETS, Ipv6View, NEXT_ICMPV6 } from './ipv6.js';
import { SCTP_OCTETS, SctpView } from './sctp.js';
import { TCP_OCTETS, TcpOptions, TcpView } from './tcp.js';
import { UDP_OCTETS, UdpView } from './udp.js';

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
  /** A transport that no probe uses, or an ICMP message that is neither an error nor a reply. */
  OTHER_PROTOCOL: 5,
} as const;

/** Names of the reject codes, as in metrics: `notIp`. */
export const REJECT_NAMES = Object.keys(REJECT).map((name) =>
  name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
);

export type LinkLayer = 'ethernet' | 'ip';

/** The views of one frame, and its flow. */
export class Dissection {
  readonly view: DataView;
  readonly ipv4: Ipv4View;
  readonly ipv6: Ipv6View;
  /** Views of transport headers; only that of the packet's own transport is set (`icmp` for an error). */
  readonly tcp: TcpView;
  readonly udp: UdpView;
  readonly sctp: SctpView;
  readonly icmp: IcmpView;
  /** The quoted transport header of an error; only its first eight octets are certain to be there. */
  readonly quotedTcp: TcpView;
  readonly quotedIcmp: IcmpView;
  readonly quotedSctp: SctpView;
  /** Options of the TCP header; none for other packets. */
  readonly tcpOptions = new TcpOptions();
  /**
   * The flow of the probe that the frame answers, if any: for an ICMP error the flow in its quote, otherwise
   * the packet's own flow, reversed.
   */
  readonly flow = new Flow();
  /** The source address of the packet. */
  readonly responder = new Endpoint();
  /** True if `ipv6` is set; else `ipv4` is. */
  isIpv6 = false;
  /** Protocol number of the transport; for an ICMP error, that of the transport in the quoted packet. */
  protocol = 0;
  /** True for an ICMP error. */
  isError = false;
  /** Offset of the transport header, and offset of the end of the packet, or of its captured part. */
  at = 0;
  end = 0;
  /** Offset of the transport header that an error quotes; the quote ends at `end`. */
  quotedAt = 0;
  readonly #quotedIpv4: Ipv4View;
  readonly #quotedIpv6: Ipv6View;
  readonly #walk = new ExtensionWalk();

  constructor(view: DataView) {
    this.view = view;
    this.ipv4 = new Ipv4View(view);
    this.ipv6 = new Ipv6View(view);
    this.tcp = new TcpView(view);
    this.udp = new UdpView(view);
    this.sctp = new SctpView(view);
    this.icmp = new IcmpView(view);
    this.quotedTcp = new TcpView(view);
    this.quotedIcmp = new IcmpView(view);
    this.quotedSctp = new SctpView(view);
    this.#quotedIpv4 = new Ipv4View(view);
    this.#quotedIpv6 = new Ipv6View(view);
  }

  /** True if `tcp` is set. */
  get isTcp(): boolean {
    return this.protocol === PROTOCOL_TCP && !this.isError;
  }
  /** The source port of a reply, if its transport has ports. */
  get responderPort(): number {
    return this.view.getUint16(this.at);
  }
  /** Type of service, or traffic class. */
  get typeOfService(): number {
    return this.isIpv6 ? this.ipv6.trafficClass : this.ipv4.typeOfService;
  }
  /** True if an IPv4 packet has the flag DF; always false for IPv6, which routers never fragment. */
  get isUnfragmentable(): boolean {
    return !this.isIpv6 && this.ipv4.isUnfragmentable;
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
    // Captures are cut at the snap length, and Ethernet pads short frames, so the packet ends after its
    // total length or with the last captured octet, whichever comes first.
    const end = Math.min(limit, at + totalLength);
    const { protocol } = ip;
    if (protocol === PROTOCOL_ICMP) return this.#dissectIcmp(payload, end);
    return this.#dissectTransport(protocol, payload, end);
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
    if (walk.protocol === NEXT_ICMPV6) return this.#dissectIcmp(walk.at, end);
    return this.#dissectTransport(walk.protocol, walk.at, end);
  }

  /** A packet that answers a probe of the same transport: its flow is the probe's, reversed. */
  #dissectTransport(protocol: number, at: number, end: number): number {
    const { flow, view } = this;
    this.isError = false;
    this.protocol = protocol;
    this.at = at;
    this.end = end;
    const verdict = this.#setTransport(protocol, at, end);
    if (verdict !== REJECT.OK) return verdict;
    this.#reverseAddresses();
    flow.target.port = view.getUint16(at);
    flow.source.port = view.getUint16(at + 2);
    return REJECT.OK;
  }

  #setTransport(protocol: number, at: number, end: number): number {
    if (protocol === PROTOCOL_TCP) {
      if (at + TCP_OCTETS > end) return REJECT.TRUNCATED;
      const { tcp } = this;
      tcp.at = at;
      const { headerOctets } = tcp;
      if (headerOctets < TCP_OCTETS) return REJECT.MALFORMED;
      return at + headerOctets > end ? REJECT.TRUNCATED : REJECT.OK;
    }
    if (protocol === PROTOCOL_UDP) {
      if (at + UDP_OCTETS > end) return REJECT.TRUNCATED;
      this.udp.at = at;
      return this.udp.length < UDP_OCTETS ? REJECT.MALFORMED : REJECT.OK;
    }
    if (protocol !== PROTOCOL_SCTP) return REJECT.OTHER_PROTOCOL;
    this.sctp.at = at;
    return at + SCTP_OCTETS > end ? REJECT.TRUNCATED : REJECT.OK;
  }

  #reverseAddresses(): void {
    const { flow, ipv4, ipv6 } = this;
    if (this.isIpv6) {
      ipv6.readDestination(flow.source);
      ipv6.readSource(flow.target);
    } else {
      flow.source.setIpv4(ipv4.destination);
      flow.target.setIpv4(ipv4.source);
    }
  }

  #dissectIcmp(at: number, end: number): number {
    if (at + ICMP_OCTETS > end) return REJECT.TRUNCATED;
    this.icmp.at = at;
    this.at = at;
    this.end = end;
    const { type } = this.icmp;
    this.isError = this.isIpv6 ? quotesPacketV6(type) : quotesPacket(type);
    if (!this.isError) return this.#dissectIcmpReply(type);
    // A quote may be cut anywhere after eight octets of the inner transport header (RFC 792), so its total
    // length is meaningless here.
    const quote = at + ICMP_OCTETS;
    const verdict = this.isIpv6 ? this.#readQuoteV6(quote, end) : this.#readQuote(quote, end);
    if (verdict !== REJECT.OK) return verdict;
    const { flow, view, protocol, quotedAt } = this;
    const hasPorts = protocol !== PROTOCOL_ICMP && protocol !== NEXT_ICMPV6;
    flow.source.port = hasPorts ? view.getUint16(quotedAt) : 0;
    flow.target.port = hasPorts ? view.getUint16(quotedAt + 2) : 0;
    return REJECT.OK;
  }

  #dissectIcmpReply(type: number): number {
    const isReply = this.isIpv6
      ? type === ICMPV6_ECHO_REPLY
      : type === ICMP_ECHO_REPLY || type === ICMP_TIMESTAMP_REPLY;
    if (!isReply) return REJECT.OTHER_PROTOCOL;
    this.protocol = this.isIpv6 ? NEXT_ICMPV6 : PROTOCOL_ICMP;
    this.#reverseAddresses();
    this.flow.source.port = 0;
    this.flow.target.port = 0;
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
    this.#setQuoted(ip.protocol, at + headerOctets);
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
    this.#setQuoted(walk.protocol, walk.at);
    ip.readSource(this.flow.source);
    ip.readDestination(this.flow.target);
    return REJECT.OK;
  }

  #setQuoted(protocol: number, at: number): void {
    this.protocol = protocol;
    this.quotedAt = at;
    this.quotedTcp.at = at;
    this.quotedIcmp.at = at;
    this.quotedSctp.at = at;
  }
}
