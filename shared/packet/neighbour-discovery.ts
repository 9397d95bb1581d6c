/**
 * Neighbour solicitation and advertisement (RFC 4861 §4.3, §4.4), in IPv6.
 *
 *   solicitation   u8 135 | u8 0 | u16 checksum | u32 0 | target (16) | option: u8 1 | u8 1 | our MAC
 *   advertisement  u8 136 | u8 0 | u16 checksum | u32 flags | target (16) | option: u8 2 | u8 1 | its MAC
 */
import type { Words } from '../net/endpoint.js';
import { foldChecksum, sumWords } from './checksum.js';
import {
  ETHER_TYPE_IPV6,
  ETHERNET_OCTETS,
  ethernetOctets,
  type FrameOrigin,
  type MacAddress,
  readMac,
  setMac,
  writeEthernet,
} from './ethernet.js';
import { IPV6_OCTETS, NEXT_ICMPV6 } from './ipv6.js';

/** Offset of the next header field in the IPv6 header. */
export const NEXT_HEADER_AT = 6;
export const ADVERTISEMENT = 136;
export const SOLICITATION_OCTETS = 32;
const SOLICITATION = 135;
const OPTION_SOURCE = 1;
const OPTION_TARGET = 2;
const HOP_LIMIT_AT = 7;
/** Hop limit of all neighbour discovery packets (RFC 4861 §7.1.1). */
const HOP_LIMIT = 255;

/** Lays out a solicitation; `setSolicitationTarget` sets its target. @param source our address */
export function layOutSolicitation(
  view: DataView,
  { source: mac, vlan }: FrameOrigin,
  source: Words,
): void {
  // The multicast address is 33:33:ff and the last three octets of the target (RFC 2464 §7); those three
  // are set per solicitation.
  const group = Uint8Array.of(0x33, 0x33, 0xff, 0, 0, 0);
  writeEthernet(view, 0, { destination: group, source: mac, type: ETHER_TYPE_IPV6, vlan });
  const at = ethernetOctets(vlan);
  view.setUint32(at, 0x60000000);
  view.setUint16(at + 4, SOLICITATION_OCTETS);
  view.setUint8(at + NEXT_HEADER_AT, NEXT_ICMPV6);
  view.setUint8(at + HOP_LIMIT_AT, HOP_LIMIT);
  for (const [i, word] of source.entries()) view.setUint32(at + 8 + 4 * i, word);
  view.setUint32(at + 24, 0xff020000); // ff02::1:ff00:0/104 (RFC 4291 §2.7.1)
  view.setUint32(at + 32, 1);
  const icmp = at + IPV6_OCTETS;
  view.setUint8(icmp, SOLICITATION);
  view.setUint8(icmp + 24, OPTION_SOURCE);
  view.setUint8(icmp + 25, 1);
  setMac(view, icmp + 26, mac);
}

/** @param at offset of the IPv6 header */
export function setSolicitationTarget(view: DataView, at: number, target: Words): void {
  const low = target[3] & 0xffffff;
  view.setUint32(2, (0xff << 24) | low);
  view.setUint32(at + 36, (0xff000000 | low) >>> 0);
  const icmp = at + IPV6_OCTETS;
  for (const [i, word] of target.entries()) view.setUint32(icmp + 8 + 4 * i, word);
  view.setUint16(icmp + 2, 0);
  const pseudo = sumWords(view, at + 8, 32, NEXT_ICMPV6 + SOLICITATION_OCTETS);
  view.setUint16(icmp + 2, foldChecksum(sumWords(view, icmp, SOLICITATION_OCTETS, pseudo)));
}

/**
 * Reads the target and the MAC address from an advertisement; undefined if the advertisement or the MAC
 * address is invalid.
 * @param octets length of the frame
 */
export function readAdvertisement(
  view: DataView,
  octets: number,
): { words: Words; mac: MacAddress } | undefined {
  const at = ETHERNET_OCTETS + IPV6_OCTETS;
  if (octets < at + 24) return undefined;
  // Ignores packets from other links: a router has decremented their hop limit (RFC 4861 §7.1.2).
  if (view.getUint8(ETHERNET_OCTETS + HOP_LIMIT_AT) !== HOP_LIMIT) return undefined;
  const end = at + view.getUint16(ETHERNET_OCTETS + 4);
  if (end > octets || !hasValidChecksum(view, at, end)) return undefined;
  const word = (i: number) => view.getUint32(at + 8 + 4 * i);
  const hasOption = octets >= at + 32 && view.getUint8(at + 24) === OPTION_TARGET;
  // The answer to a multicast solicitation contains the MAC address as an option. Without this option,
  // the frame's source is used.
  const mac = readMac(view, hasOption ? at + 26 : 6);
  return mac && { words: [word(0), word(1), word(2), word(3)], mac };
}

/** @param at offset of the ICMPv6 header, which must follow an IPv6 header without extensions */
function hasValidChecksum(view: DataView, at: number, end: number): boolean {
  const pseudo = sumWords(view, at - 32, 32, NEXT_ICMPV6 + (end - at));
  return foldChecksum(sumWords(view, at, end - at, pseudo)) === 0;
}
