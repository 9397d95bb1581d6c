/**
 * IPv6 header (RFC 8200 §3) and the extension headers that may stand before TCP or ICMPv6 (§4).
 *
 *      0                   1                   2                   3
 *     |Version| Traffic Class |           Flow Label                  |
 *     |         Payload Length        |  Next Header  |   Hop Limit   |
 *     |                       Source Address (16)                     |
 *     |                    Destination Address (16)                   |
 */
import type { Endpoint } from '../net/endpoint.js';
import { sumWords } from './checksum.js';

const VERSION_CLASS_LABEL = 0; // u32
const PAYLOAD_LENGTH = 4; // u16
const NEXT_HEADER = 6; // u8
const HOP_LIMIT = 7; // u8
const SOURCE = 8; // 4 × u32
const DESTINATION = 24; // 4 × u32

export const IPV6_OCTETS = 40;
export const NEXT_ICMPV6 = 58;

const VERSION_6 = 0x60000000;
const NEXT_HOP_BY_HOP = 0;
const NEXT_ROUTING = 43;
const NEXT_FRAGMENT = 44;
const NEXT_AUTHENTICATION = 51;
const NEXT_DESTINATION_OPTIONS = 60;
/** The extension headers that are skipped. */
export const EXTENSION_HEADERS: readonly number[] = [
  NEXT_HOP_BY_HOP,
  NEXT_ROUTING,
  NEXT_FRAGMENT,
  NEXT_AUTHENTICATION,
  NEXT_DESTINATION_OPTIONS,
];
const FRAGMENT_OCTETS = 8;
const FRAGMENT_OFFSET_MASK = 0xfff8;
const EXTENSIONS_MAX = 8;

/** Reads and writes fields in place at `at`. Numbers are in host order. Nothing is checked here. */
export class Ipv6View {
  view: DataView;
  at = 0;

  constructor(view: DataView, at = 0) {
    this.view = view;
    this.at = at;
  }

  get version(): number {
    return this.view.getUint8(this.at) >>> 4;
  }
  get trafficClass(): number {
    return (this.view.getUint16(this.at) >>> 4) & 0xff;
  }
  get payloadLength(): number {
    return this.view.getUint16(this.at + PAYLOAD_LENGTH);
  }
  get nextHeader(): number {
    return this.view.getUint8(this.at + NEXT_HEADER);
  }
  get hopLimit(): number {
    return this.view.getUint8(this.at + HOP_LIMIT);
  }
  readSource(into: Endpoint): void {
    into.readIpv6(this.view, this.at + SOURCE);
  }
  readDestination(into: Endpoint): void {
    into.readIpv6(this.view, this.at + DESTINATION);
  }

  /** 20 bits. */
  set flowLabel(value: number) {
    this.view.setUint32(this.at + VERSION_CLASS_LABEL, VERSION_6 | value);
  }
  setSource(w0: number, w1: number, w2: number, w3: number): void {
    this.#write(SOURCE, w0, w1, w2, w3);
  }
  setDestination(w0: number, w1: number, w2: number, w3: number): void {
    this.#write(DESTINATION, w0, w1, w2, w3);
  }

  /**
   * Lays out a header; flow label, source and destination are zero.
   * @returns the sum of the pseudo-header's constant words (RFC 8200 §8.1): length and next header
   */
  layOut(header: { payloadLength: number; nextHeader: number; hopLimit: number }): number {
    const { view, at } = this;
    for (let i = 0; i < IPV6_OCTETS; i += 4) view.setUint32(at + i, 0);
    this.flowLabel = 0;
    view.setUint16(at + PAYLOAD_LENGTH, header.payloadLength);
    view.setUint8(at + NEXT_HEADER, header.nextHeader);
    view.setUint8(at + HOP_LIMIT, header.hopLimit);
    return sumWords(view, at + PAYLOAD_LENGTH, 2) + header.nextHeader;
  }

  #write(field: number, w0: number, w1: number, w2: number, w3: number): void {
    const { view } = this;
    const at = this.at + field;
    view.setUint32(at, w0);
    view.setUint32(at + 4, w1);
    view.setUint32(at + 8, w2);
    view.setUint32(at + 12, w3);
  }
}

/** Skips extension headers. One object per dissection, refilled. */
export class ExtensionWalk {
  /** Protocol number of the transport (RFC 8200 §4.1), and the offset of its header. */
  protocol = 0;
  at = 0;
  /** True if the packet is a fragment other than the first, which has no transport header. */
  isLaterFragment = false;

  /** @returns false if a header runs past `end`, or there are too many */
  walk(view: DataView, at: number, first: number, end: number): boolean {
    this.protocol = first;
    this.at = at;
    this.isLaterFragment = false;
    for (let seen = 0; seen < EXTENSIONS_MAX; seen++) {
      if (!isExtension(this.protocol)) return true;
      if (this.at + FRAGMENT_OCTETS > end) return false;
      const header = this.protocol;
      this.protocol = view.getUint8(this.at);
      if (header === NEXT_FRAGMENT) {
        this.isLaterFragment = (view.getUint16(this.at + 2) & FRAGMENT_OFFSET_MASK) !== 0;
        this.at += FRAGMENT_OCTETS;
        if (this.isLaterFragment) return true;
      } else {
        // The length field counts units of eight octets, without the first unit (RFC 8200 §4.3). In the
        // authentication header, it counts units of four octets, minus two (RFC 4302 §2.2).
        const length = view.getUint8(this.at + 1);
        this.at += header === NEXT_AUTHENTICATION ? (length + 2) << 2 : (length + 1) << 3;
      }
    }
    return false;
  }
}

function isExtension(header: number): boolean {
  return EXTENSION_HEADERS.includes(header);
}
