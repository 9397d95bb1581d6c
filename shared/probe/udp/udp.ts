/**
 * The UDP probe (RFC 768): a payload that services of the port answer. Any answer means open, a port
 * unreachable from the host itself means closed (RFC 1122 §4.1.3.1), any other ICMP error means filtered, and
 * silence means open or filtered. Our source port follows from the target's cookie; where the protocol echoes
 * octets of the payload, the payload contains up to four more octets of the cookie. An answer from another
 * port of the target is counted, and accepted with `any-port=yes`.
 */
import type { Endpoint } from '../../net/endpoint.js';
import type { PortRange } from '../../net/ports.js';
import { foldChecksum, sumOf32, sumWords } from '../../packet/checksum.js';
import type { Dissection } from '../../packet/dissect.js';
import {
  ICMP_UNREACHABLE,
  ICMPV6_UNREACHABLE,
  PORT_UNREACHABLE,
  PORT_UNREACHABLE_V6,
} from '../../packet/icmp.js';
import { PROTOCOL_UDP } from '../../packet/ipv4.js';
import { UDP_OCTETS, UdpView } from '../../packet/udp.js';
import { replyFilter } from '../capture-filter.js';
import type { Cookies } from '../cookies.js';
import { IpHeader, ipOctets } from '../ip-header.js';
import {
  type Family,
  ICMP_CLASS,
  OTHER_PORTS_MAX,
  type PacketMaker,
  type PacketProbe,
  type ProbeSetup,
  RANK,
  type ReplyReader,
} from '../probe.js';
import type { ProbeBatch } from '../probe-batch.js';
import { TTL } from '../probe-options.js';
import {
  ANY_ADDRESS,
  ANY_PORT,
  optionsForPort,
  PAYLOAD_OPTIONS,
  type Payload,
  payloadOf,
} from './payload-options.js';

/** Our port of a probe: a part of the first word of its cookie. */
function portOf(cookie: number, { from, to }: PortRange): number {
  return from + (((cookie >>> 16) * (to - from)) >>> 16);
}

/** The first `octets` octets of a word, 0 … 4; the others are zero. */
function firstOctets(word: number, octets: number): number {
  return octets === 0 ? 0 : (word & (-1 << (32 - 8 * octets))) >>> 0;
}

/** The amount that a 32-bit word at offset `at`, which may be odd, adds to a sum of 16-bit words. */
function sumAt(at: number, word: number): number {
  if ((at & 1) === 0) return sumOf32(word);
  return (word >>> 24) + ((word >>> 8) & 0xffff) + ((word & 0xff) << 8);
}

class Datagrams implements PacketMaker {
  readonly #ip: IpHeader;
  readonly #udp: UdpView;
  readonly #ports: PortRange;
  readonly #payload: Payload;
  readonly #ttl: number;
  /** Sum of the constant words, the pseudo-header's included. */
  #sum = 0;

  constructor(view: DataView, family: Family, { options, ports }: ProbeSetup) {
    this.#ip = new IpHeader(view, family);
    this.#udp = new UdpView(view);
    this.#ports = ports;
    this.#payload = payloadOf(options);
    this.#ttl = Number(options['ttl']);
  }

  layOut(at: number): void {
    const { octets } = this.#payload;
    const udp = this.#udp;
    const length = UDP_OCTETS + octets.length;
    this.#ip.layOut(at, { payload: length, ttl: this.#ttl, protocol: PROTOCOL_UDP });
    udp.at = at + this.#ip.octets;
    udp.layOut(length);
    for (const [i, octet] of octets.entries()) udp.view.setUint8(udp.at + UDP_OCTETS + i, octet);
    this.#sum = sumWords(udp.view, udp.at, length, PROTOCOL_UDP + length);
  }

  make(batch: ProbeBatch, sources: readonly Endpoint[]): void {
    const { cookieAt, cookieOctets } = this.#payload;
    const ip = this.#ip;
    const udp = this.#udp;
    const { count, ports, sequence, identification, packetAt, addressSums } = batch;
    ip.write(batch, sources);
    const { view } = udp;
    const cookieFrom = UDP_OCTETS + cookieAt;
    for (let i = 0; i < count; i++) {
      const both =
        ((portOf(sequence[i] as number, this.#ports) << 16) | (ports[i] as number)) >>> 0;
      udp.at = (packetAt[i] as number) + ip.octets;
      udp.ports = both;
      const cookie = firstOctets(identification[i] as number, cookieOctets);
      for (let octet = 0; octet < cookieOctets; octet++) {
        view.setUint8(udp.at + cookieFrom + octet, (cookie >>> (24 - 8 * octet)) & 255);
      }
      const sum = this.#sum + (addressSums[i] as number) + sumOf32(both) + sumAt(cookieAt, cookie);
      udp.checksum = foldChecksum(sum);
    }
  }
}

/**
 * Without an echoed cookie, answers from other ports are looked for only if a probe is sent to at most this
 * many ports. The source port is then the only proof, and it fits another of our probes by chance (1 in
 * 4,096).
 */
const OTHER_PORTS_WITHOUT_ECHO_MAX = 16;

/** Octets of the cookie that an answer from another address must echo. */
const COOKIE_OCTETS_LEAST = 2;

class DatagramReplies implements ReplyReader {
  readonly #payload: Payload;
  readonly #ports: PortRange;
  readonly #targetPorts: readonly number[];
  readonly acceptsOtherPorts: boolean;
  readonly acceptsOtherAddresses: boolean;

  constructor({ options, ports, targetPorts }: ProbeSetup) {
    this.#payload = payloadOf(options);
    this.#ports = ports;
    const most = this.#payload.echoAt < 0 ? OTHER_PORTS_WITHOUT_ECHO_MAX : OTHER_PORTS_MAX;
    this.#targetPorts = targetPorts.length <= most ? targetPorts : [];
    this.acceptsOtherPorts = options[ANY_PORT.name] === 'yes';
    this.acceptsOtherAddresses = options[ANY_ADDRESS.name] === 'yes';
  }

  validate(reply: Dissection, cookies: Cookies): boolean {
    return reply.isError ? this.#isQuoted(reply, cookies) : this.#isAnswer(reply, cookies);
  }

  classify(reply: Dissection): number {
    if (!reply.isError) return 0;
    return isPortUnreachable(reply) ? 1 : 2;
  }

  echoedStamp(): number {
    return -1;
  }

  answersFromOtherPort(reply: Dissection, cookies: Cookies): boolean {
    if (reply.isError) return false;
    const { target } = reply.flow;
    const from = target.port;
    let probed = 0;
    let matches = 0;
    for (const port of this.#targetPorts) {
      target.port = port;
      if (port === from || !this.#isAnswer(reply, cookies)) continue;
      probed = port;
      matches++;
    }
    target.port = matches === 1 ? probed : from;
    return matches === 1;
  }

  /**
   * Tries all other addresses of the sender's /24 as the probed one. The chance that an answer fits a wrong
   * address is at most 1 in 2^20.
   */
  answersFromOtherAddress(reply: Dissection, cookies: Cookies): boolean {
    const { echoAt, cookieOctets } = this.#payload;
    if (reply.isError || reply.isIpv6 || echoAt < 0 || cookieOctets < COOKIE_OCTETS_LEAST)
      return false;
    const { target } = reply.flow;
    const from = target.w3;
    const network = (from & 0xffffff00) >>> 0;
    let probed = 0;
    let matches = 0;
    for (let host = 0; host < 256; host++) {
      target.w3 = network + host;
      if (target.w3 === from || !this.#isAnswer(reply, cookies)) continue;
      probed = target.w3;
      matches++;
    }
    target.w3 = matches === 1 ? probed : from;
    return matches === 1;
  }

  /**
   * True if an ICMP error quotes one of our probes. A quote may end after eight octets; if it contains the
   * cookie in the payload, this must be right.
   */
  #isQuoted(reply: Dissection, cookies: Cookies): boolean {
    const { cookieAt, cookieOctets } = this.#payload;
    if (!this.#hasOurPort(reply, cookies)) return false;
    const at = reply.quotedAt + UDP_OCTETS + cookieAt;
    return at + cookieOctets > reply.end || this.#hasCookie(reply, at, cookies.second);
  }

  #isAnswer(reply: Dissection, cookies: Cookies): boolean {
    const { echoAt } = this.#payload;
    if (!this.#hasOurPort(reply, cookies)) return false;
    return echoAt < 0 || this.#hasCookie(reply, reply.at + UDP_OCTETS + echoAt, cookies.second);
  }

  #hasOurPort({ flow }: Dissection, cookies: Cookies): boolean {
    if (!cookies.compute(flow, 0)) return false;
    return flow.source.port === portOf(cookies.sequence, this.#ports);
  }

  #hasCookie({ view, end }: Dissection, at: number, word: number): boolean {
    const { cookieOctets } = this.#payload;
    if (at + cookieOctets > end) return false;
    for (let i = 0; i < cookieOctets; i++) {
      if (view.getUint8(at + i) !== ((word >>> (24 - 8 * i)) & 255)) return false;
    }
    return true;
  }
}

/**
 * True if an ICMP error is a "port unreachable" that the target itself has sent. Firewalls send such errors,
 * too, but from their own addresses.
 */
function isPortUnreachable({ isIpv6, icmp, responder, flow }: Dissection): boolean {
  const [type, code] = isIpv6
    ? [ICMPV6_UNREACHABLE, PORT_UNREACHABLE_V6]
    : [ICMP_UNREACHABLE, PORT_UNREACHABLE];
  const { w0, w1, w2, w3 } = flow.target;
  const isTarget =
    responder.w3 === w3 && responder.w2 === w2 && responder.w1 === w1 && responder.w0 === w0;
  return icmp.type === type && icmp.code === code && isTarget;
}

export const udp: PacketProbe = {
  kind: 'packet',
  name: 'udp',
  about: 'UDP: a question of the protocol of the port; services answer it, closed ports send ICMP',
  families: [4, 6],
  hasPorts: true,
  choosesSourcePort: false,
  classes: [
    { name: 'udp', rank: RANK.SERVICE, state: 'open', isSuccess: true },
    { name: 'unreach', rank: RANK.HOST, state: 'closed', isSuccess: false },
    ICMP_CLASS,
  ],
  silence: 'open|filtered',
  cookieBits: {
    reply: 'the source port, about 12, and 8 for each octet of the payload that is echoed',
    quote: 'the source port, about 12, and those of the payload if they are quoted',
  },
  options: [...PAYLOAD_OPTIONS, TTL],
  optionsForPort,
  protocol: () => PROTOCOL_UDP,
  octets: (family, options) => ipOctets(family) + UDP_OCTETS + payloadOf(options).octets.length,
  captureFilter: (origin) => replyFilter(origin, PROTOCOL_UDP),
  packets: (view, family, setup) => new Datagrams(view, family, setup),
  replies: (setup) => new DatagramReplies(setup),
};
