/**
 * Ethernet II (IEEE 802.3 §3.1.1) with 802.1Q tags.
 *
 *      0         6         12      14
 *     +---------+---------+-------+----------
 *     | destin. | source  | type  | payload
 *     +---------+---------+-------+----------
 *     a VLAN tag (4 octets: type 0x8100 or 0x88a8, then the tag) may stand before the type
 */
const SOURCE = 6;
const TYPE = 12;

export const ETHERNET_OCTETS = 14;
export const ETHER_TYPE_IPV4 = 0x0800;
export const ETHER_TYPE_IPV6 = 0x86dd;

const ETHER_TYPE_VLAN = 0x8100;
const ETHER_TYPE_QINQ = 0x88a8;
const VLAN_TAG_OCTETS = 4;
/** 802.1Q §9.6: 0 and 4095 are reserved. */
export const VLAN_MAX = 4094;
const VLAN_TAGS_MAX = 2;

/** Six octets, as the kernel gives them. */
export type MacAddress = Uint8Array;

/** The fields of the link header of a frame to its next hop. */
export interface EthernetHeader {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly type: number;
  /** VLAN identifier (802.1Q §9.6), 1 … 4094; undefined for untagged frames. */
  readonly vlan?: number | undefined;
}

/** Sender and VLAN of frames. */
export type FrameOrigin = Pick<EthernetHeader, 'source' | 'vlan'>;

/** Octets of a header with or without a tag. */
export function ethernetOctets(vlan: number | undefined): number {
  return ETHERNET_OCTETS + (vlan === undefined ? 0 : VLAN_TAG_OCTETS);
}

/** Writes the header at `at`; the payload starts `ethernetOctets` later. */
export function writeEthernet(view: DataView, at: number, header: EthernetHeader): void {
  setMac(view, at, header.destination);
  setMac(view, at + SOURCE, header.source);
  let type = at + TYPE;
  if (header.vlan !== undefined) {
    view.setUint16(type, ETHER_TYPE_VLAN);
    view.setUint16(type + 2, header.vlan);
    type += VLAN_TAG_OCTETS;
  }
  view.setUint16(type, header.type);
}

/** Offset of the IP header in a frame at [start, end), or −1 if there is none. */
export function ipOffsetIn(view: DataView, start: number, end: number): number {
  let type = start + TYPE;
  for (let tags = 0; tags <= VLAN_TAGS_MAX && type + 2 <= end; tags++) {
    const value = view.getUint16(type);
    if (value === ETHER_TYPE_IPV4 || value === ETHER_TYPE_IPV6) return type + 2;
    if (value !== ETHER_TYPE_VLAN && value !== ETHER_TYPE_QINQ) return -1;
    type += VLAN_TAG_OCTETS;
  }
  return -1;
}

/** Reads `aa:bb:cc:dd:ee:ff`; undefined if the text is no such address. */
export function parseMac(text: string): MacAddress | undefined {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (octet) => Number.parseInt(octet, 16));
}

export function formatMac(mac: MacAddress): string {
  return Array.from(mac, (octet) => octet.toString(16).padStart(2, '0')).join(':');
}

export function setMac(view: DataView, at: number, mac: MacAddress): void {
  for (let i = 0; i < 6; i++) view.setUint8(at + i, mac[i] ?? 0);
}

/** A copy of the address at `at`; undefined if it is zero or a group address, because no host has such an address. */
export function readMac(view: DataView, at: number): MacAddress | undefined {
  const mac = new Uint8Array(view.buffer, view.byteOffset + at, 6).slice();
  const isInvalidMac = mac.every((octet) => octet === 0);
  return isInvalidMac || ((mac[0] as number) & 1) !== 0 ? undefined : mac;
}
