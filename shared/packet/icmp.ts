/**
 * ICMP errors (RFC 792) and ICMPv6 errors (RFC 4443): type, code, checksum, four octets, then a quote
 * of the packet that caused them: its IP header and at least the eight octets after it.
 */
const TYPE = 0; // u8
const CODE = 1; // u8

export const ICMP_OCTETS = 8;
/** Octets of the inner transport header in every quote (RFC 792). */
export const ICMP_QUOTE_OCTETS = 8;

export const ICMP_UNREACHABLE = 3;
const ICMP_SOURCE_QUENCH = 4;
const ICMP_REDIRECT = 5;
const ICMP_TIME_EXCEEDED = 11;
const ICMP_PARAMETER_PROBLEM = 12;

export class IcmpView {
  view: DataView;
  at = 0;

  constructor(view: DataView, at = 0) {
    this.view = view;
    this.at = at;
  }

  get type(): number {
    return this.view.getUint8(this.at + TYPE);
  }
  get code(): number {
    return this.view.getUint8(this.at + CODE);
  }
}

/** True if messages of this type quote a packet. */
export function quotesPacket(type: number): boolean {
  return (
    type === ICMP_UNREACHABLE ||
    type === ICMP_SOURCE_QUENCH ||
    type === ICMP_REDIRECT ||
    type === ICMP_TIME_EXCEEDED ||
    type === ICMP_PARAMETER_PROBLEM
  );
}

export const ICMPV6_UNREACHABLE = 1;
const ICMPV6_PARAMETER_PROBLEM = 4;

/** The same for ICMPv6, whose errors are types 1 (unreachable) to 4 (parameter problem). */
export function quotesPacketV6(type: number): boolean {
  return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
}

/** Names of destination-unreachable codes (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1). */
export const UNREACHABLE_NAMES: readonly string[] = [
  'network unreachable',
  'host unreachable',
  'protocol unreachable',
  'port unreachable',
  'fragments required',
  'source route failed',
  'network unknown',
  'host unknown',
  'source host isolated',
  'network admin. prohibited',
  'host admin. prohibited',
  'network unreachable TOS',
  'host unreachable TOS',
  'communication admin. prohibited',
  'host precedence violation',
  'precedence cutoff',
];

/** The same for ICMPv6 (RFC 4443 §3.1). */
export const UNREACHABLE_NAMES_V6: readonly string[] = [
  'no route to destination',
  'communication admin. prohibited',
  'beyond scope of source address',
  'address unreachable',
  'port unreachable',
  'source address failed policy',
  'reject route to destination',
];
