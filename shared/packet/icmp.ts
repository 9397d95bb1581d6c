/**
 * ICMP (RFC 792) and ICMPv6 (RFC 4443). Errors: type, code, checksum, four octets, then a quote of the packet
 * that caused them: its IP header and at least the eight octets after it. Echo and timestamp messages: type,
 * code, checksum, identifier, sequence number, data.
 */
const TYPE = 0; // u8
const CODE = 1; // u8
const CHECKSUM = 2; // u16
const IDENTIFIER = 4; // u16, and the sequence number, u16

export const ICMP_OCTETS = 8;
/** Octets of the inner transport header in every quote (RFC 792). */
export const ICMP_QUOTE_OCTETS = 8;

export const ICMP_UNREACHABLE = 3;
/** Unreachable, source quench, redirect, time exceeded, parameter problem. */
export const ICMP_ERRORS: readonly number[] = [ICMP_UNREACHABLE, 4, 5, 11, 12];
export const ICMP_ECHO_REPLY = 0;
export const ICMP_ECHO = 8;
export const ICMP_TIMESTAMP = 13;
export const ICMP_TIMESTAMP_REPLY = 14;

export const ICMPV6_UNREACHABLE = 1;
const ICMPV6_PARAMETER_PROBLEM = 4;
export const ICMPV6_ECHO = 128;
export const ICMPV6_ECHO_REPLY = 129;

/** Codes of `port unreachable`. */
export const PORT_UNREACHABLE = 3;
export const PORT_UNREACHABLE_V6 = 4;
/**
 * Codes for `administratively prohibited`, which apply to a network, to a host, or to all communication (RFC
 * 1812 §5.2.7.1).
 */
const PROHIBITED: readonly number[] = [9, 10, 13];
const PROHIBITED_V6 = 1; // RFC 4443 §3.1

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
  /** Identifier in the high half, sequence number in the low. */
  get identifiers(): number {
    return this.view.getUint32(this.at + IDENTIFIER);
  }
  set identifiers(value: number) {
    this.view.setUint32(this.at + IDENTIFIER, value);
  }
  set checksum(value: number) {
    this.view.setUint16(this.at + CHECKSUM, value);
  }

  /** Lays out a message; checksum and identifiers are zero. */
  layOut(type: number): void {
    this.view.setUint8(this.at + TYPE, type);
    this.view.setUint8(this.at + CODE, 0);
    this.checksum = 0;
    this.identifiers = 0;
  }
}

/** True if messages of this type quote a packet. */
export function quotesPacket(type: number): boolean {
  return ICMP_ERRORS.includes(type);
}

/** The same for ICMPv6, whose errors are types 1 (unreachable) to 4 (parameter problem). */
export function quotesPacketV6(type: number): boolean {
  return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
}

/** True for an error which says that an administrator does not want the packet. */
export function isProhibited({ type, code }: IcmpView, isIpv6: boolean): boolean {
  if (isIpv6) return type === ICMPV6_UNREACHABLE && code === PROHIBITED_V6;
  return type === ICMP_UNREACHABLE && PROHIBITED.includes(code);
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
