/**
 * ARP over Ethernet for IPv4 (RFC 826): 28 octets after the link header.
 *
 *   u16 hardware (1) | u16 protocol (0800) | u8 6 | u8 4 | u16 operation |
 *   sender MAC, IPv4 | target MAC, IPv4
 */
import {
  ethernetOctets,
  type FrameOrigin,
  type MacAddress,
  readMac,
  setMac,
  writeEthernet,
} from './ethernet.js';

export const ETHER_TYPE_ARP = 0x0806;
export const ARP_OCTETS = 28;
export const ARP_REPLY = 2;
/** Offset of the operation. */
export const ARP_OPERATION_AT = 6;
const REQUEST = 1;

/** Lays out a broadcast request; `setArpTarget` sets its target. @param source our IPv4 address */
export function layOutArp(
  view: DataView,
  { source: mac, vlan }: FrameOrigin,
  source: number,
): void {
  const everybody = new Uint8Array(6).fill(0xff);
  writeEthernet(view, 0, { destination: everybody, source: mac, type: ETHER_TYPE_ARP, vlan });
  const at = ethernetOctets(vlan);
  view.setUint16(at, 1);
  view.setUint16(at + 2, 0x0800);
  view.setUint16(at + 4, 0x0604);
  view.setUint16(at + ARP_OPERATION_AT, REQUEST);
  setMac(view, at + 8, mac);
  view.setUint32(at + 14, source);
}

/** @param at offset of the ARP packet */
export function setArpTarget(view: DataView, at: number, target: number): void {
  view.setUint32(at + 24, target);
}

/** The sender of a reply; undefined for an invalid hardware address. */
export function readArp(
  view: DataView,
  at: number,
): { address: number; mac: MacAddress } | undefined {
  const mac = readMac(view, at + 8);
  return mac && { address: view.getUint32(at + 14), mac };
}
