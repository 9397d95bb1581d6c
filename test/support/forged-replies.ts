/** Replies of an attacker who knows all of a survey except its key, and sees none of its probes. */
import type { CookieMac } from '../../shared/probe/cookies.js';
import type { PacketProbe, ReplyReader } from '../../shared/probe/probe.js';
import { read } from './replies.js';

/** The source ports of a survey. If a reply contains no other cookie, a forger must guess only these 12 bits. */
export const SOURCE_PORTS = { from: 61000, to: 61000 + 4096 } as const;

/** The number of cookie bits in a reply, or in an error that quotes eight octets, as stated by `transect probes`. */
function bitsOf({ name }: PacketProbe, isError: boolean): number {
  if (name === 'udp' || (name === 'sctp-init' && isError)) return 12;
  return 32;
}

/** The highest number of `count` forgeries that may pass: six standard deviations above the mean. */
export function forgeriesAllowed(probe: PacketProbe, isError: boolean, count: number): number {
  const mean = count / 2 ** bitsOf(probe, isError);
  return Math.floor(mean + 6 * Math.sqrt(mean)) + (mean < 0.1 ? 0 : 1);
}

/** Counts how many of `count` forgeries of a genuine reply the probe accepts. */
export function forgeriesAccepted(
  probe: PacketProbe,
  reader: ReplyReader,
  cookies: CookieMac,
  genuine: Uint8Array,
  count: number,
): number {
  const packet = genuine.slice();
  const views = read(packet);
  const { isError } = views;
  const from = isError ? views.quotedAt : views.at;
  const protocol = probe.protocol(views.isIpv6 ? 6 : 4);
  let accepted = 0;
  for (let i = 0; i < count; i++) {
    randomise(packet, from, probe, !isError);
    views.dissect('ip', 0, packet.length);
    if (views.protocol === protocol && reader.validate(views, cookies)) accepted++;
  }
  return accepted;
}

/** Replaces the fields of a transport header that a forger must guess, but keeps the kind and the lengths. */
function randomise(packet: Uint8Array, from: number, probe: PacketProbe, isReply: boolean): void {
  const view = new DataView(packet.buffer, from);
  const word = () => Math.floor(Math.random() * 2 ** 32);
  if (!probe.hasPorts) {
    view.setUint32(4, word());
    if (isReply) view.setUint32(8, word());
    return;
  }
  // Our port: the destination of a reply, the source of a quote.
  view.setUint16(
    isReply ? 2 : 0,
    SOURCE_PORTS.from + Math.floor(Math.random() * (SOURCE_PORTS.to - SOURCE_PORTS.from)),
  );
  if (probe.name === 'udp') return;
  view.setUint32(4, word());
  if (probe.name === 'sctp-init' && !isReply) view.setUint32(4, 0);
  if (probe.name !== 'sctp-init' && isReply) view.setUint32(8, word());
}
