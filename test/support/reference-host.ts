/**
 * A host as the RFCs describe it, written from their text and not from our probes. It returns the reply to
 * any packet at an open or closed port, or undefined if the host stays silent.
 */
import { answering, answerTo, isIpv6 } from './replies.js';

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

export function hostReplyTo(packet: Uint8Array, state: 'open' | 'closed'): Uint8Array | undefined {
  const head = isIpv6(packet) ? 40 : 20;
  const protocol = packet[isIpv6(packet) ? 6 : 9];
  if (protocol === 6) return segmentFor(packet, head, state);
  if (protocol === 17) return state === 'open' ? answerTo(packet) : unreachable(packet);
  const reply = answerTo(packet);
  if (protocol === 132 && state === 'closed') reply[head + 12] = 6; // ABORT, RFC 9260 §8.4 rule 8
  return reply;
}

/** RFC 9293 §3.10.7.1 (CLOSED) and §3.10.7.2 (LISTEN). */
function segmentFor(packet: Uint8Array, head: number, state: string): Uint8Array | undefined {
  const asked = new DataView(packet.buffer, packet.byteOffset + head);
  const flags = asked.getUint8(13);
  const length = Number((flags & SYN) !== 0) + Number((flags & FIN) !== 0);
  const sequence = asked.getUint32(4);
  const acknowledgment = asked.getUint32(8);
  const isSyn = (flags & (SYN | ACK | FIN)) === SYN;
  if (state === 'open' && isSyn) return segment(packet, SYN | ACK, 0x01020304, sequence + 1);
  if (state === 'open' && (flags & ACK) === 0) return undefined;
  if ((flags & ACK) !== 0) return segment(packet, RST, acknowledgment, 0);
  return segment(packet, RST | ACK, 0, sequence + length);
}

function segment(packet: Uint8Array, flags: number, sequence: number, acknowledgment: number) {
  const head = isIpv6(packet) ? 40 : 20;
  const asked = new DataView(packet.buffer, packet.byteOffset + head);
  const bytes = answering(packet, 20, 6, 57);
  const view = new DataView(bytes.buffer, head);
  view.setUint16(0, asked.getUint16(2));
  view.setUint16(2, asked.getUint16(0));
  view.setUint32(4, sequence >>> 0);
  view.setUint32(8, acknowledgment >>> 0);
  view.setUint8(12, 0x50);
  view.setUint8(13, flags);
  return bytes;
}

/** RFC 1122 §4.1.3.1: port unreachable from the host itself, with the header and eight octets (RFC 792). */
function unreachable(packet: Uint8Array): Uint8Array {
  const head = isIpv6(packet) ? 40 : 20;
  const quote = packet.subarray(0, head + 8);
  const bytes = answering(packet, 8 + quote.length, isIpv6(packet) ? 58 : 1, 57);
  bytes.set(isIpv6(packet) ? [1, 4] : [3, 3], head);
  bytes.set(quote, head + 8);
  return bytes;
}
