/**
 * The TCP SYN probe: is a service listening? An open port answers SYN-ACK, a closed one RST, and routers that
 * cannot or will not deliver answer ICMP. The SYN cookie is the sequence number: a SYN-ACK acknowledges
 * cookie + 1 (RFC 9293 §3.4), a reset acknowledges the cookie or cookie + 1 (§3.10.7.1; some middleboxes send
 * the former), and ICMP errors quote ports and sequence number.
 *
 * Each target gets one probe: there are no retransmissions.
 */
import { Fault } from '../base/faults.js';
import type { Endpoint } from '../net/endpoint.js';
import { foldChecksum, sumOf32, sumWords } from '../packet/checksum.js';
import type { Dissection } from '../packet/dissect.js';
import { IPV4_OCTETS, PROTOCOL_TCP } from '../packet/ipv4.js';
import { IPV6_OCTETS } from '../packet/ipv6.js';
import { FLAG_ACK, FLAG_RST, FLAG_SYN, TCP_OCTETS } from '../packet/tcp.js';
import { tcpReplyFilter } from './capture-filter.js';
import { CLASSIFICATION } from './classification.js';
import type { CookieMac } from './cookies.js';
import type { Family, Frame, Probe, ProbeOptions } from './probe.js';
import type { ProbeBatch } from './probe-batch.js';
import { LAYOUT_NAMES, type LayoutName, synLayout } from './syn-options.js';

/** Default options: the time to live is Linux's. */
const DEFAULTS: ProbeOptions = { layout: 'mss', ttl: '64' };

/** The flag of probe options; in a survey file it is `probeOptions`. */
const FLAG = '--probe-args';

export const tcpSyn: Probe = {
  name: 'tcp-syn',
  about: 'TCP SYN: open ports answer SYN-ACK, closed ones RST',
  families: [4, 6],

  parseOptions(given: ProbeOptions): ProbeOptions {
    for (const name of Object.keys(given)) {
      if (!Object.hasOwn(DEFAULTS, name)) {
        const reason = `tcp-syn has no such option; it has: ${Object.keys(DEFAULTS).join(', ')}`;
        throw new Fault('BAD_OPTION', reason, { flag: FLAG, value: name });
      }
    }
    const options = { ...DEFAULTS, ...given };
    read(options);
    return options;
  },

  octets(family: Family, options: ProbeOptions): number {
    const ip = family === 4 ? IPV4_OCTETS : IPV6_OCTETS;
    return ip + TCP_OCTETS + layoutOf(options, family).options.length;
  },

  isStamped: (options: ProbeOptions) => layoutOf(options, 4).stampAt > 0,

  captureFilter: tcpReplyFilter,

  prepare(frame: Frame, options: ProbeOptions): void {
    const { ttl } = read(options);
    const layout = layoutOf(options, frame.family);
    const octets = TCP_OCTETS + layout.options.length;
    frame.tcp.layOut({ flags: FLAG_SYN, window: layout.window, options: layout.options });
    frame.stampAt = layout.stampAt;
    // The pseudo-header adds protocol and length (RFC 9293 §3.1, RFC 8200 §8.1); addresses, ports, sequence
    // number and timestamp are added per probe.
    frame.tcpSum = sumWords(frame.tcp.view, frame.tcp.at, octets, PROTOCOL_TCP + octets);
    if (frame.family === 4) {
      const totalLength = IPV4_OCTETS + octets;
      frame.ipSum = frame.ipv4.layOut({ totalLength, timeToLive: ttl, protocol: PROTOCOL_TCP });
    } else {
      frame.ipv6.layOut({ payloadLength: octets, hopLimit: ttl, nextHeader: PROTOCOL_TCP });
    }
  },

  make(frame: Frame, batch: ProbeBatch, sources: readonly Endpoint[]): void {
    const { stamp, stampAt, tcp } = frame;
    // The timestamp is the same for a whole batch, so its part of the checksums is constant, too.
    const unstamped = frame.tcpSum;
    if (stampAt > 0) frame.tcpSum += sumOf32(stamp);
    if (frame.family === 4) makeIpv4(frame, batch);
    else makeIpv6(frame, batch, sources);
    frame.tcpSum = unstamped;
    for (let i = 0; stampAt > 0 && i < batch.count; i++) {
      frame.moveTo(batch.packetAt[i] as number);
      tcp.view.setUint32(tcp.at + stampAt, stamp);
    }
  },

  validate(reply: Dissection, cookies: CookieMac): boolean {
    if (!reply.isTcp) {
      cookies.compute(reply.flow);
      return reply.quotedTcp.sequence === cookies.sequence;
    }
    const { flags, acknowledgment } = reply.tcp;
    const isReset = (flags & FLAG_RST) !== 0;
    const isSynAck = (flags & (FLAG_SYN | FLAG_ACK)) === (FLAG_SYN | FLAG_ACK);
    if (!isReset && !isSynAck) return false;
    cookies.compute(reply.flow);
    const beyond = (acknowledgment - cookies.sequence) >>> 0;
    return beyond === 1 || (isReset && beyond === 0);
  },

  classify(reply: Dissection): number {
    if (!reply.isTcp) return CLASSIFICATION.ICMP;
    return reply.tcp.flags & FLAG_RST ? CLASSIFICATION.RST : CLASSIFICATION.SYNACK;
  },
};

function makeIpv4(frame: Frame, batch: ProbeBatch): void {
  const { ipv4, tcp, ipSum, tcpSum } = frame;
  const { count, w3, sourceW3, ports, sequence, identification, packetAt } = batch;
  for (let i = 0; i < count; i++) {
    ipv4.at = packetAt[i] as number;
    tcp.at = ipv4.at + IPV4_OCTETS;
    const from = sourceW3[i] as number;
    const to = w3[i] as number;
    const id = (identification[i] as number) & 0xffff;
    const addresses = sumOf32(from) + sumOf32(to);
    ipv4.identification = id;
    ipv4.source = from;
    ipv4.destination = to;
    ipv4.checksum = foldChecksum(ipSum + id + addresses);
    const cookie = sequence[i] as number;
    const both = ports[i] as number;
    tcp.ports = both;
    tcp.sequence = cookie;
    tcp.checksum = foldChecksum(tcpSum + addresses + sumOf32(both) + sumOf32(cookie));
  }
}

function makeIpv6(frame: Frame, batch: ProbeBatch, sources: readonly Endpoint[]): void {
  const { ipv6, tcp, tcpSum } = frame;
  const { count, w0, w1, w2, w3, ports, source, sequence } = batch;
  for (let i = 0; i < count; i++) {
    ipv6.at = batch.packetAt[i] as number;
    tcp.at = ipv6.at + IPV6_OCTETS;
    const from = sources[source[i] as number] as Endpoint;
    const a = w0[i] as number;
    const b = w1[i] as number;
    const c = w2[i] as number;
    const d = w3[i] as number;
    ipv6.flowLabel = (batch.identification[i] as number) & 0xffff;
    ipv6.setSource(from.w0, from.w1, from.w2, from.w3);
    ipv6.setDestination(a, b, c, d);
    const ours = sumOf32(from.w0) + sumOf32(from.w1) + sumOf32(from.w2) + sumOf32(from.w3);
    const theirs = sumOf32(a) + sumOf32(b) + sumOf32(c) + sumOf32(d);
    const cookie = sequence[i] as number;
    const both = ports[i] as number;
    tcp.ports = both;
    tcp.sequence = cookie;
    tcp.checksum = foldChecksum(tcpSum + ours + theirs + sumOf32(both) + sumOf32(cookie));
  }
}

function layoutOf(options: ProbeOptions, family: Family) {
  return synLayout(read({ ...DEFAULTS, ...options }).layout, family === 6);
}

/** @throws Fault BAD_OPTION */
function read(options: ProbeOptions): { layout: LayoutName; ttl: number } {
  const given = { ...DEFAULTS, ...options };
  const ttl = Number(given['ttl']);
  if (!Number.isInteger(ttl) || ttl < 1 || ttl > 255) {
    const reason = 'a time to live is a number from 1 to 255';
    throw new Fault('BAD_OPTION', reason, { flag: FLAG, value: `ttl=${given['ttl']}` });
  }
  const layout = LAYOUT_NAMES.find((name) => name === given['layout']);
  if (layout === undefined) {
    const reason = `no such layout; there are: ${LAYOUT_NAMES.join(', ')}`;
    throw new Fault('BAD_OPTION', reason, { flag: FLAG, value: `layout=${given['layout']}` });
  }
  return { layout, ttl };
}
