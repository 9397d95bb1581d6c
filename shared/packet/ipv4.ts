/**
 * IPv4 header (RFC 791 §3.1).
 *
 *      0                   1                   2                   3
 *     |Version|  IHL  |Type of Service|          Total Length         |
 *     |         Identification        |Flags|      Fragment Offset    |
 *     |  Time to Live |    Protocol   |         Header Checksum       |
 *     |                       Source Address                          |
 *     |                    Destination Address                        |
 */
import { foldChecksum, sumWords } from './checksum.js';

const VERSION_IHL = 0; // u8: version in the high half, header length in 32-bit words in the low
const TYPE_OF_SERVICE = 1; // u8
const TOTAL_LENGTH = 2; // u16
const IDENTIFICATION = 4; // u16
const FLAGS_FRAGMENT = 6; // u16
const TIME_TO_LIVE = 8; // u8
const PROTOCOL = 9; // u8
const CHECKSUM = 10; // u16
const SOURCE = 12; // u32
const DESTINATION = 16; // u32

export const IPV4_OCTETS = 20;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_SCTP = 132;

const FRAGMENT_OFFSET_MASK = 0x1fff;
const DO_NOT_FRAGMENT = 0x4000;

/** Reads and writes fields in place at `at`. Numbers are in host order. Nothing is checked here. */
export class Ipv4View {
  view: DataView;
  at = 0;

  constructor(view: DataView, at = 0) {
    this.view = view;
    this.at = at;
  }

  get version(): number {
    return this.view.getUint8(this.at + VERSION_IHL) >>> 4;
  }
  /** Octets, options included: 0 … 60. */
  get headerOctets(): number {
    return (this.view.getUint8(this.at + VERSION_IHL) & 15) << 2;
  }
  get totalLength(): number {
    return this.view.getUint16(this.at + TOTAL_LENGTH);
  }
  get identification(): number {
    return this.view.getUint16(this.at + IDENTIFICATION);
  }
  /** In units of eight octets; 0 for a whole packet or a first fragment. */
  get fragmentOffset(): number {
    return this.view.getUint16(this.at + FLAGS_FRAGMENT) & FRAGMENT_OFFSET_MASK;
  }
  /** Type of service: DSCP and ECN (RFC 2474 §3, RFC 3168 §5). */
  get typeOfService(): number {
    return this.view.getUint8(this.at + TYPE_OF_SERVICE);
  }
  /** True if routers must not fragment it. */
  get isUnfragmentable(): boolean {
    return (this.view.getUint16(this.at + FLAGS_FRAGMENT) & DO_NOT_FRAGMENT) !== 0;
  }
  get timeToLive(): number {
    return this.view.getUint8(this.at + TIME_TO_LIVE);
  }
  get protocol(): number {
    return this.view.getUint8(this.at + PROTOCOL);
  }
  get source(): number {
    return this.view.getUint32(this.at + SOURCE);
  }
  get destination(): number {
    return this.view.getUint32(this.at + DESTINATION);
  }

  set identification(value: number) {
    this.view.setUint16(this.at + IDENTIFICATION, value);
  }
  set source(value: number) {
    this.view.setUint32(this.at + SOURCE, value);
  }
  set destination(value: number) {
    this.view.setUint32(this.at + DESTINATION, value);
  }
  set checksum(value: number) {
    this.view.setUint16(this.at + CHECKSUM, value);
  }

  /**
   * Lays out a header without options. Identification, source and destination are zero, and the checksum is
   * that of such a header.
   * @returns the sum of the constant words, to which each probe adds its own fields
   */
  layOut(header: { totalLength: number; timeToLive: number; protocol: number }): number {
    const { view, at } = this;
    view.setUint8(at + VERSION_IHL, 0x45);
    view.setUint8(at + 1, 0);
    view.setUint16(at + TOTAL_LENGTH, header.totalLength);
    view.setUint16(at + IDENTIFICATION, 0);
    view.setUint16(at + FLAGS_FRAGMENT, DO_NOT_FRAGMENT);
    view.setUint8(at + TIME_TO_LIVE, header.timeToLive);
    view.setUint8(at + PROTOCOL, header.protocol);
    view.setUint16(at + CHECKSUM, 0);
    view.setUint32(at + SOURCE, 0);
    view.setUint32(at + DESTINATION, 0);
    const sum = sumWords(view, at, IPV4_OCTETS);
    this.checksum = foldChecksum(sum);
    return sum;
  }
}
