/**
 * TCP SYN: is a service listening? An open port answers SYN-ACK, a closed one RST, and routers that
 * cannot or will not deliver answer ICMP. The cookie is the sequence number: a SYN-ACK acknowledges
 * cookie + 1 (RFC 9293 §3.4), a reset acknowledges the cookie or cookie + 1 (§3.10.7.1; the first
 * form is what some middleboxes send), and ICMP errors quote ports and sequence number.
 */
import { Fault } from '../base/faults.js';
import { formatIpv4 } from '../net/address.js';
import type { Target } from '../net/target.js';
import { foldChecksum, sumOf32, sumWords } from '../packet/checksum.js';
import type { Dissection } from '../packet/dissect.js';
import { IPV4_OCTETS, PROTOCOL_TCP } from '../packet/ipv4.js';
import { FLAG_ACK, FLAG_RST, FLAG_SYN, maximumSegmentOption, TCP_OCTETS } from '../packet/tcp.js';
import { CLASSIFICATION } from './classification.js';
import type { CookieJar } from './cookies.js';
import type { Aim, Frame, Origin, Probe, ProbeOptions } from './probe.js';

const MAXIMUM_SEGMENT = 1460;
const WINDOW = 65535;
const OPTIONS = maximumSegmentOption(MAXIMUM_SEGMENT);
const SEGMENT_OCTETS = TCP_OCTETS + OPTIONS.length;

/** What of a SYN stays the same: the default time to live is Linux's. */
const DEFAULTS = { ttl: 64 } as const;

export const tcpSyn: Probe = {
  name: 'tcp-syn',
  about: 'TCP SYN: open ports answer SYN-ACK, closed ones RST',
  families: [4],
  ipOctets: IPV4_OCTETS,

  parseOptions(given: ProbeOptions): ProbeOptions {
    for (const name of Object.keys(given)) {
      if (!Object.hasOwn(DEFAULTS, name)) {
        const why = `tcp-syn has no such option; it has: ${Object.keys(DEFAULTS).join(', ')}`;
        throw new Fault('BAD_OPTION', why, { flag: 'probeOptions', value: name });
      }
    }
    const options = { ...DEFAULTS, ...given };
    if (!Number.isInteger(options.ttl) || options.ttl < 1 || options.ttl > 255) {
      const why = 'a time to live is a number from 1 to 255';
      throw new Fault('BAD_OPTION', why, { flag: 'probeOptions.ttl', value: `${options.ttl}` });
    }
    return options;
  },

  octets: () => IPV4_OCTETS + SEGMENT_OCTETS,

  captureFilter({ address, ports }: Origin): string {
    const range = `${ports.from}-${ports.to - 1}`;
    const answers = `(tcp[13] & ${FLAG_RST} != 0 or tcp[13] & 0x12 == 0x12)`;
    const here = `dst host ${formatIpv4(address)}`;
    return `${here} and ((tcp and dst portrange ${range} and ${answers}) or icmp)`;
  },

  prepare(frame: Frame, options: ProbeOptions): void {
    frame.ipSum = frame.ip.layOut({
      totalLength: IPV4_OCTETS + SEGMENT_OCTETS,
      timeToLive: options['ttl'] ?? DEFAULTS.ttl,
      protocol: PROTOCOL_TCP,
    });
    frame.tcp.layOut({ flags: FLAG_SYN, window: WINDOW, options: OPTIONS });
    // The pseudo-header (RFC 9293 §3.1) adds protocol and segment length; addresses come per probe.
    frame.tcpSum = sumWords(frame.tcp.view, frame.tcp.at, SEGMENT_OCTETS, PROTOCOL_TCP);
    frame.tcpSum += SEGMENT_OCTETS;
  },

  aim(frame: Frame, aim: Aim, cookies: CookieJar): void {
    const { ip, tcp } = frame;
    const { sequence, identification } = cookies;
    const addresses = sumOf32(aim.source) + sumOf32(aim.address);
    ip.identification = identification;
    ip.source = aim.source;
    ip.destination = aim.address;
    ip.checksum = foldChecksum(frame.ipSum + identification + addresses);
    tcp.sourcePort = aim.sourcePort;
    tcp.destinationPort = aim.port;
    tcp.sequence = sequence;
    const ports = aim.sourcePort + aim.port;
    tcp.checksum = foldChecksum(frame.tcpSum + addresses + ports + sumOf32(sequence));
  },

  recognise(reply: Dissection, cookies: CookieJar, target: Target): boolean {
    return reply.isTcp
      ? recogniseSegment(reply, cookies, target)
      : recogniseQuote(reply, cookies, target);
  },

  classify(reply: Dissection): number {
    if (!reply.isTcp) return CLASSIFICATION.ICMP;
    return reply.tcp.flags & FLAG_RST ? CLASSIFICATION.RST : CLASSIFICATION.SYNACK;
  },
};

function recogniseSegment(reply: Dissection, cookies: CookieJar, target: Target): boolean {
  const { ip, tcp } = reply;
  const { flags } = tcp;
  const isReset = (flags & FLAG_RST) !== 0;
  const isSynAck = (flags & (FLAG_SYN | FLAG_ACK)) === (FLAG_SYN | FLAG_ACK);
  if (!isReset && !isSynAck) return false;
  target.setIpv4(ip.source);
  target.port = tcp.sourcePort;
  cookies.bake(ip.destination, tcp.destinationPort, target.w3, target.port);
  const beyond = (tcp.acknowledgment - cookies.sequence) >>> 0;
  return beyond === 1 || (isReset && beyond === 0);
}

function recogniseQuote(reply: Dissection, cookies: CookieJar, target: Target): boolean {
  const { quotedIp, quotedTcp } = reply;
  target.setIpv4(quotedIp.destination);
  target.port = quotedTcp.destinationPort;
  cookies.bake(quotedIp.source, quotedTcp.sourcePort, target.w3, target.port);
  return quotedTcp.sequence === cookies.sequence;
}
