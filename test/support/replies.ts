/** Packets as the network would send them, built from one of our probes by slow and simple code. */

import { Endpoint, Target, type Words } from '../../shared/net/endpoint.js';
import { mappedWords } from '../../shared/net/ipv6.js';
import type { PortRange } from '../../shared/net/ports.js';
import { type Dissection, Dissection as Views } from '../../shared/packet/dissect.js';
import { FLAG_ACK, FLAG_RST, FLAG_SYN } from '../../shared/packet/tcp.js';
import { CookieMac, probeKey } from '../../shared/probe/cookies.js';
import type { PacketProbe, ProbeOptions } from '../../shared/probe/probe.js';
import { ProbeBatch } from '../../shared/probe/probe-batch.js';
import { parseOptions } from '../../shared/probe/probe-options.js';
import { tcpSyn } from '../../shared/probe/tcp/tcp-syn.js';

export const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);

/** A flow as data; addresses are words, IPv4 mapped. */
export interface PlainFlow {
  readonly source: Words;
  readonly sourcePort: number;
  readonly address: Words;
  readonly port: number;
}

export const FLOW: PlainFlow = {
  source: mappedWords(0x64400001),
  sourcePort: 61007,
  address: mappedWords(0xc6120203),
  port: 443,
};

export const FLOW_V6: PlainFlow = {
  source: [0x20010db8, 0, 0, 1],
  sourcePort: 61007,
  address: [0x20010db8, 0x00420000, 0x02030405, 0x06070809],
  port: 443,
};

export const STAMP = 0x89abcdef;

/** One batch serves all calls: each batch has a WebAssembly instance of its own, which is slow to create. */
const batch = new ProbeBatch(1);

/** The octets of our probe of a flow, written over random octets. */
export function probeOf(
  plain: PlainFlow,
  key: Uint8Array = KEY,
  given: ProbeOptions = {},
  probe: PacketProbe = tcpSyn,
  ports: PortRange = { from: plain.sourcePort, to: plain.sourcePort + 1 },
): Uint8Array {
  const source = new Endpoint();
  source.setWords(plain.source);
  const target = new Target();
  target.setWords(plain.address);
  target.port = plain.port;
  const family = target.isIpv4 ? 4 : 6;
  const parsed = parseOptions(probe, given);
  const options = probe.optionsForPort?.(plain.port, parsed) ?? parsed;
  const bytes = new Uint8Array(probe.octets(family, options)).fill(0xa5);
  const packets = probe.packets(new DataView(bytes.buffer), family, {
    options,
    ports,
    targetPorts: [],
  });
  packets.layOut(0);
  batch.count = 0;
  batch.add(target);
  const cookies = new CookieMac(probeKey(key, 0));
  cookies.choose(batch, [source], probe.choosesSourcePort ? ports : { from: 0, to: 1 });
  if (family === 4) cookies.computeIpv4(batch);
  else cookies.computeIpv6(batch, [source], false);
  packets.make(batch, [source], STAMP);
  return bytes;
}

export const isIpv6 = (packet: Uint8Array) => (packet[0] as number) >>> 4 === 6;
/** Octets of the IP header of a packet without options or extension headers. */
const ipOctets = (packet: Uint8Array) => (isIpv6(packet) ? 40 : 20);

/** An IP header with the probe's addresses exchanged, and room for a payload after it. */
export function answering(
  probe: Uint8Array,
  payload: number,
  protocol: number,
  ttl: number,
): Uint8Array {
  const head = ipOctets(probe);
  const bytes = new Uint8Array(head + payload);
  const view = new DataView(bytes.buffer);
  if (isIpv6(probe)) {
    view.setUint8(0, 0x60);
    view.setUint16(4, payload);
    view.setUint8(6, protocol);
    view.setUint8(7, ttl);
    bytes.set(probe.subarray(24, 40), 8);
    bytes.set(probe.subarray(8, 24), 24);
  } else {
    view.setUint8(0, 0x45);
    view.setUint16(2, bytes.length);
    view.setUint8(8, ttl);
    view.setUint8(9, protocol);
    bytes.set(probe.subarray(16, 20), 12);
    bytes.set(probe.subarray(12, 16), 16);
  }
  return bytes;
}

/** A TCP reply to a probe, with source and destination swapped; it acknowledges the probe's sequence number plus
 * `beyond`. */
export function segmentTo(
  probe: Uint8Array,
  flags: number,
  beyond: number,
  options: readonly number[] = [],
): Uint8Array {
  const head = ipOctets(probe);
  const asked = new DataView(probe.buffer, probe.byteOffset + head);
  const bytes = answering(probe, 20 + options.length, 6, 57);
  const view = new DataView(bytes.buffer, head);
  view.setUint16(0, asked.getUint16(2));
  view.setUint16(2, asked.getUint16(0));
  view.setUint32(4, 0x01020304);
  view.setUint32(8, (asked.getUint32(4) + beyond) >>> 0);
  view.setUint8(12, ((20 + options.length) / 4) << 4);
  view.setUint8(13, flags);
  view.setUint16(14, 64240);
  bytes.set(options, head + 20);
  return bytes;
}

export const synAckTo = (probe: Uint8Array, options: readonly number[] = []) =>
  segmentTo(probe, FLAG_SYN | FLAG_ACK, 1, options);
export const resetTo = (probe: Uint8Array, beyond = 1) =>
  segmentTo(probe, FLAG_RST | FLAG_ACK, beyond);

/**
 * The answer of a service to a probe of any transport: a SYN-ACK, the same datagram, the echo or timestamp reply,
 * or an INIT ACK.
 */
export function answerTo(probe: Uint8Array): Uint8Array {
  const head = ipOctets(probe);
  const protocol = probe[isIpv6(probe) ? 6 : 9] as number;
  if (protocol === 6) return synAckTo(probe);
  const payload = probe.slice(head);
  const bytes = answering(probe, payload.length, protocol, 57);
  bytes.set(payload, head);
  const view = new DataView(bytes.buffer, head);
  const [ours, theirs] = [view.getUint16(0), view.getUint16(2)];
  if (protocol === 1) view.setUint8(0, view.getUint8(0) === 8 ? 0 : 14);
  else if (protocol === 58) view.setUint8(0, 129);
  else {
    view.setUint16(0, theirs);
    view.setUint16(2, ours);
  }
  if (protocol === 132) {
    view.setUint32(4, view.getUint32(16)); // the tag of the other side
    view.setUint8(12, 2);
  }
  return bytes;
}

/** An ICMP error from a router, quoting the IP header and `quoted` octets after it. */
export function errorTo(
  probe: Uint8Array,
  { type = 0, code = 0, router = ROUTER, quoted = 8 } = {},
): Uint8Array {
  const head = ipOctets(probe);
  const quote = probe.subarray(0, head + quoted);
  const bytes = answering(probe, 8 + quote.length, isIpv6(probe) ? 58 : 1, 250);
  const view = new DataView(bytes.buffer);
  view.setUint32(isIpv6(probe) ? 20 : 12, router);
  view.setUint8(head, type || (isIpv6(probe) ? 1 : 3));
  view.setUint8(head + 1, code || (isIpv6(probe) ? 1 : 13));
  bytes.set(quote, head + 8);
  return bytes;
}

/** The last word of the router's address. */
const ROUTER = 0x0a090807;

/** Views over a packet without a link header. */
export function read(bytes: Uint8Array): Dissection {
  const dissection = new Views(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  dissection.dissect('ip', 0, bytes.length);
  return dissection;
}
