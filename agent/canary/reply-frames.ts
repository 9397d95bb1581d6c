/**
 * Replies to TCP probes, written into Ethernet frames in place, with the probe's addresses and ports exchanged. The
 * code is simple: checksums are computed over whole packets.
 */
import { foldChecksum, sumWords } from '../../shared/packet/checksum.js';
import type { FrameSender } from '../interfaces.js';

export const FLAGS = { SYN_ACK: 0x12, RST_ACK: 0x14 } as const;

/** Octets of a TCP segment: a header and one option of four octets. */
const SEGMENT_OCTETS = 24;
const ICMP_OCTETS = 8;
const QUOTED_OCTETS = 8;
const ETHERNET_OCTETS = 14;

export interface Shape {
  readonly family: 4 | 6;
  readonly head: number;
  readonly source: number;
  readonly addressOctets: number;
}
export const SHAPES = {
  4: { family: 4, head: 20, source: 12, addressOctets: 4 },
  6: { family: 6, head: 40, source: 8, addressOctets: 16 },
} as const satisfies Record<number, Shape>;

export const segmentOctets = ({ head }: Shape) => head + SEGMENT_OCTETS;
export const errorOctets = ({ head }: Shape) => head + ICMP_OCTETS + head + QUOTED_OCTETS;

/** The frame of a probe, as captured: `at` is where its IP header starts. */
export interface Probe {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly shape: Shape;
}

/** Writes a segment that acknowledges the probe's sequence number plus `beyond`. */
export function writeSegment(
  frameSender: FrameSender,
  at: number,
  probe: Probe,
  { flags, beyond }: { flags: number; beyond: number },
): void {
  const { shape, bytes } = probe;
  const { view } = frameSender;
  const tcp = at + shape.head;
  const asked = new DataView(bytes.buffer, bytes.byteOffset + probe.at + shape.head);
  writeHead(view, at, probe, { protocol: 6, octets: SEGMENT_OCTETS, timeToLive: 57 });
  view.setUint16(tcp, asked.getUint16(2));
  view.setUint16(tcp + 2, asked.getUint16(0));
  view.setUint32(tcp + 4, asked.getUint32(4) ^ 0x5bd1e995);
  view.setUint32(tcp + 8, (asked.getUint32(4) + beyond) >>> 0);
  view.setUint16(tcp + 12, 0x6000 | flags);
  view.setUint16(tcp + 14, 64240);
  view.setUint32(tcp + 16, 0);
  view.setUint32(tcp + 20, 0x020405b4);
  const sum = sumOfAddresses(view, at, shape) + 6 + SEGMENT_OCTETS;
  view.setUint16(tcp + 16, foldChecksum(sumWords(view, tcp, SEGMENT_OCTETS, sum)));
}

/**
 * Writes an ICMP error from a router whose address ends with the word `router`. It quotes the probe's IP
 * header and eight octets after it.
 */
export function writeError(
  frameSender: FrameSender,
  at: number,
  probe: Probe,
  router: number,
): void {
  const { shape, bytes } = probe;
  const { view } = frameSender;
  const icmp = at + shape.head;
  const octets = ICMP_OCTETS + shape.head + QUOTED_OCTETS;
  const isIpv4 = shape.family === 4;
  const protocol = isIpv4 ? 1 : 58;
  writeHead(view, at, probe, { protocol, octets, timeToLive: 249 });
  view.setUint32(at + shape.source + shape.addressOctets - 4, router);
  if (isIpv4) setIpv4Checksum(view, at);
  view.setUint32(icmp, isIpv4 ? 0x03010000 : 0x01030000);
  view.setUint32(icmp + 4, 0);
  const quote = bytes.subarray(probe.at, probe.at + shape.head + QUOTED_OCTETS);
  new Uint8Array(view.buffer).set(quote, icmp + ICMP_OCTETS);
  const pseudo = isIpv4 ? 0 : sumOfAddresses(view, at, shape) + protocol + octets;
  view.setUint16(icmp + 2, foldChecksum(sumWords(view, icmp, octets, pseudo)));
}

/** Writes the Ethernet and IP headers of a reply, with the probe's addresses exchanged. */
function writeHead(
  view: DataView,
  at: number,
  { bytes, at: asked, shape }: Probe,
  { protocol, octets, timeToLive }: { protocol: number; octets: number; timeToLive: number },
): void {
  const frame = new Uint8Array(view.buffer);
  frame.set(bytes.subarray(6, 12), at - ETHERNET_OCTETS);
  frame.set(bytes.subarray(0, 6), at - ETHERNET_OCTETS + 6);
  const { source, addressOctets } = shape;
  const theirs = asked + source;
  frame.set(bytes.subarray(theirs, theirs + addressOctets), at + source + addressOctets);
  const ours = theirs + addressOctets;
  frame.set(bytes.subarray(ours, ours + addressOctets), at + source);
  if (shape.family === 6) {
    view.setUint32(at, 0x60000000);
    view.setUint16(at + 4, octets);
    view.setUint16(at + 6, (protocol << 8) | timeToLive);
    return;
  }
  view.setUint32(at, 0x45000000 | (shape.head + octets));
  view.setUint32(at + 4, 0x00004000);
  view.setUint16(at + 8, (timeToLive << 8) | protocol);
  setIpv4Checksum(view, at);
}

function setIpv4Checksum(view: DataView, at: number): void {
  view.setUint16(at + 10, 0);
  view.setUint16(at + 10, foldChecksum(sumWords(view, at, 20)));
}

function sumOfAddresses(view: DataView, at: number, { source, addressOctets }: Shape): number {
  return sumWords(view, at + source, 2 * addressOctets);
}
