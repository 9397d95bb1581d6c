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

const ETHER_TYPE_VLAN = 0x8100;
const ETHER_TYPE_QINQ = 0x88a8;
const VLAN_TAG_OCTETS = 4;
const VLAN_TAGS_MAX = 2;

/** Six octets, as the kernel gives them. */
export type MacAddress = Uint8Array;

/** Writes the header at `at`; the payload starts `ETHERNET_OCTETS` later. */
export function writeEthernet(
  view: DataView,
  at: number,
  link: { readonly destination: MacAddress; readonly source: MacAddress; readonly type: number },
): void {
  for (let i = 0; i < 6; i++) {
    view.setUint8(at + i, link.destination[i] ?? 0);
    view.setUint8(at + SOURCE + i, link.source[i] ?? 0);
  }
  view.setUint16(at + TYPE, link.type);
}

/** Where the IPv4 header starts in a frame of `length` octets, or −1 where there is none. */
export function ipv4OffsetIn(view: DataView, length: number): number {
  let type = TYPE;
  for (let tags = 0; tags <= VLAN_TAGS_MAX && type + 2 <= length; tags++) {
    const value = view.getUint16(type);
    if (value === ETHER_TYPE_IPV4) return type + 2;
    if (value !== ETHER_TYPE_VLAN && value !== ETHER_TYPE_QINQ) return -1;
    type += VLAN_TAG_OCTETS;
  }
  return -1;
}

/** Reads `aa:bb:cc:dd:ee:ff`; undefined where the text is no such address. */
export function parseMac(text: string): MacAddress | undefined {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (octet) => Number.parseInt(octet, 16));
}
