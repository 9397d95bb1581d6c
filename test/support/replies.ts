/** Frames as the network would send them, built from a probe of ours by slow and obvious code. */
import { type Dissection, Dissection as Views } from '../../shared/packet/dissect.js';
import { FLAG_ACK, FLAG_RST, FLAG_SYN } from '../../shared/packet/tcp.js';
import { CookieJar } from '../../shared/probe/cookies.js';
import { Aim, Frame } from '../../shared/probe/probe.js';
import { tcpSyn } from '../../shared/probe/tcp-syn.js';

export const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);

export interface Flow {
  readonly source: number;
  readonly sourcePort: number;
  readonly address: number;
  readonly port: number;
}

export const FLOW: Flow = {
  source: 0x64400001,
  sourcePort: 61007,
  address: 0xc6120203,
  port: 443,
};

/** The octets of our probe of a flow, written over rubbish. */
export function probeOf(flow: Flow, key: Uint8Array = KEY, ttl = 64): Uint8Array {
  const octets = tcpSyn.octets({});
  const bytes = new Uint8Array(octets).fill(0xa5);
  const frame = new Frame(new DataView(bytes.buffer));
  frame.moveTo(0, tcpSyn.ipOctets);
  tcpSyn.prepare(frame, { ttl });
  const cookies = new CookieJar(key);
  cookies.bake(flow.source, flow.sourcePort, flow.address, flow.port);
  tcpSyn.aim(frame, Object.assign(new Aim(), flow), cookies);
  return bytes;
}

/** A TCP answer to a probe: its flow turned round. `beyond` is added to the sequence number. */
export function segmentTo(
  probe: Uint8Array,
  flags: number,
  beyond: number,
  options: readonly number[] = [],
): Uint8Array {
  const { ip, tcp } = read(probe);
  const bytes = new Uint8Array(40 + options.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint8(8, 57);
  view.setUint8(9, 6);
  view.setUint32(12, ip.destination);
  view.setUint32(16, ip.source);
  view.setUint16(20, tcp.destinationPort);
  view.setUint16(22, tcp.sourcePort);
  view.setUint32(24, 0x01020304);
  view.setUint32(28, (tcp.sequence + beyond) >>> 0);
  view.setUint8(32, ((20 + options.length) / 4) << 4);
  view.setUint8(33, flags);
  view.setUint16(34, 64240);
  bytes.set(options, 40);
  return bytes;
}

export const synAckTo = (probe: Uint8Array, options: readonly number[] = []) =>
  segmentTo(probe, FLAG_SYN | FLAG_ACK, 1, options);
export const resetTo = (probe: Uint8Array, beyond = 1) =>
  segmentTo(probe, FLAG_RST | FLAG_ACK, beyond);

/** An ICMP error from a router, quoting the IP header and `quoted` octets after it. */
export function errorTo(
  probe: Uint8Array,
  { type = 3, code = 13, router = 0x0a090807, quoted = 8 } = {},
): Uint8Array {
  const quote = probe.subarray(0, 20 + quoted);
  const bytes = new Uint8Array(28 + quote.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint8(8, 250);
  view.setUint8(9, 1);
  view.setUint32(12, router);
  view.setUint32(16, read(probe).ip.source);
  view.setUint8(20, type);
  view.setUint8(21, code);
  bytes.set(quote, 28);
  return bytes;
}

/** Views over a packet without a link header. */
export function read(bytes: Uint8Array): Dissection {
  const dissection = new Views(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  dissection.dissect('ip', bytes.length);
  return dissection;
}
