/**
 * Reads one captured frame in place. `dissect` does every length check there is and then sets the
 * views of a `Dissection`; when it returns `OK`, no accessor of a view it set can run off the end.
 * The promise holds until the frame's buffer is refilled, which is when the next frame arrives.
 *
 * Malformed frames are data: a reject code indexes a counter, nothing throws. Checksums are not
 * verified: interfaces do that, and frames captured on veth or loopback carry partial ones.
 */
import { ipv4OffsetIn } from './ethernet.js';
import { ICMP_OCTETS, ICMP_QUOTE_OCTETS, IcmpView, quotesPacket } from './icmp.js';
import { IPV4_OCTETS, Ipv4View, PROTOCOL_ICMP, PROTOCOL_TCP } from './ipv4.js';
import { TCP_OCTETS, TcpView } from './tcp.js';

/** What a frame turned out to be. Everything but `OK` is a reason to count and drop it. */
export const REJECT = {
  OK: 0,
  /** No IPv4 header follows the link header. */
  NOT_IPV4: 1,
  /** Shorter than its headers say, or than headers can be. */
  TRUNCATED: 2,
  /** A header contradicts itself: version, header length or total length. */
  MALFORMED: 3,
  /** A fragment other than the first: it has no transport header. */
  FRAGMENT: 4,
  /** Neither TCP nor an ICMP error about TCP. */
  OTHER_PROTOCOL: 5,
} as const;

export const REJECT_NAMES = Object.keys(REJECT).map((name) => name.toLowerCase());

export type LinkLayer = 'ethernet' | 'ip';

/** The views of one frame. `quotedTcp` has only its first eight octets. */
export class Dissection {
  readonly ip: Ipv4View;
  readonly tcp: TcpView;
  readonly icmp: IcmpView;
  readonly quotedIp: Ipv4View;
  readonly quotedTcp: TcpView;
  /** Whether `tcp` is set; else `icmp` and the quote are. */
  isTcp = false;

  constructor(view: DataView) {
    this.ip = new Ipv4View(view);
    this.tcp = new TcpView(view);
    this.icmp = new IcmpView(view);
    this.quotedIp = new Ipv4View(view);
    this.quotedTcp = new TcpView(view);
  }

  /** @param length octets captured; the frame starts at 0 @returns a `REJECT` code */
  dissect(link: LinkLayer, length: number): number {
    const at = link === 'ethernet' ? ipv4OffsetIn(this.ip.view, length) : 0;
    if (at < 0) return REJECT.NOT_IPV4;
    const end = checkIpv4(this.ip, at, length);
    if (end < 0) return -end;
    if (this.ip.fragmentOffset !== 0) return REJECT.FRAGMENT;
    const payload = at + this.ip.headerOctets;
    switch (this.ip.protocol) {
      case PROTOCOL_TCP:
        return this.#dissectTcp(payload, end);
      case PROTOCOL_ICMP:
        return this.#dissectIcmp(payload, end);
      default:
        return REJECT.OTHER_PROTOCOL;
    }
  }

  #dissectTcp(at: number, end: number): number {
    if (at + TCP_OCTETS > end) return REJECT.TRUNCATED;
    this.tcp.at = at;
    const { headerOctets } = this.tcp;
    if (headerOctets < TCP_OCTETS) return REJECT.MALFORMED;
    if (at + headerOctets > end) return REJECT.TRUNCATED;
    this.isTcp = true;
    return REJECT.OK;
  }

  #dissectIcmp(at: number, end: number): number {
    if (at + ICMP_OCTETS > end) return REJECT.TRUNCATED;
    this.icmp.at = at;
    if (!quotesPacket(this.icmp.type)) return REJECT.OTHER_PROTOCOL;
    // A quote may be cut anywhere after eight octets of the inner transport header (RFC 792), so
    // its total length says nothing about what is here.
    const quote = at + ICMP_OCTETS;
    if (quote + IPV4_OCTETS > end) return REJECT.TRUNCATED;
    this.quotedIp.at = quote;
    const { headerOctets } = this.quotedIp;
    if (this.quotedIp.version !== 4 || headerOctets < IPV4_OCTETS) return REJECT.MALFORMED;
    if (quote + headerOctets + ICMP_QUOTE_OCTETS > end) return REJECT.TRUNCATED;
    if (this.quotedIp.fragmentOffset !== 0) return REJECT.FRAGMENT;
    if (this.quotedIp.protocol !== PROTOCOL_TCP) return REJECT.OTHER_PROTOCOL;
    this.quotedTcp.at = quote + headerOctets;
    this.isTcp = false;
    return REJECT.OK;
  }
}

/** Where the packet ends within the frame, or minus a `REJECT` code. */
function checkIpv4(ip: Ipv4View, at: number, length: number): number {
  if (at + IPV4_OCTETS > length) return -REJECT.TRUNCATED;
  ip.at = at;
  const { headerOctets, totalLength } = ip;
  if (ip.version !== 4 || headerOctets < IPV4_OCTETS) return -REJECT.MALFORMED;
  if (totalLength < headerOctets) return -REJECT.MALFORMED;
  if (at + headerOctets > length) return -REJECT.TRUNCATED;
  // Captures are cut at the snap length, and Ethernet pads short frames: the shorter end counts.
  return Math.min(length, at + totalLength);
}
