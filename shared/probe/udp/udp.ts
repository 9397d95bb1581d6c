/**
 * The UDP probe (RFC 768): a payload that services of the port answer. Any answer means open, a port
 * unreachable of the host itself closed (RFC 1122 §4.1.3.1), any other ICMP error filtered, and silence open or
 * filtered. Our source port follows from the cookie of the target; the payload has four octets more of it where
 * the protocol echoes them. An answer from another port or address is accepted with `any-port=yes` only, and
 * only if it echoes the cookie of the payload.
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
import type { CookieMac } from '../cookies.js';
import { IpHeader, ipOctets } from '../ip-header.js';
import {
  type Family,
  type PacketMaker,
  type Probe,
  type ProbeSetup,
  RANK,
  type ReplyReader,
} from '../probe.js';
import type { ProbeBatch } from '../probe-batch.js';
import { TTL } from '../probe-options.js';
import { ICMP_CLASS } from '../tcp/tcp-probe.js';
import { optionsForPort, PAYLOAD_OPTIONS, type Payload, payloadOf } from './payload-options.js';

/** Our port of a probe: a part of the first word of its cookie. */
function portOf(cookie: number, { from, to }: PortRange): number {
  return from + (((cookie >>> 16) * (to - from)) >>> 16);
}

/** The octets of a word as a payload has them: the first ones of it, in network order. */
function setWord(view: DataView, at: number, octets: number, word: number): void {
  for (let i = 0; i < octets; i++) view.setUint8(at + i, (word >>> (24 - 8 * i)) & 255);
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
    const { count, ports, sequence, identification, packetAt } = batch;
    const [from, to] = [UDP_OCTETS + cookieAt, UDP_OCTETS + cookieAt + cookieOctets];
    // The cookie covers whole words of the checksum: those that it starts and ends in.
    const words = cookieOctets === 0 ? 0 : to + (to & 1) - (from & ~1);
    for (let i = 0; i < count; i++) {
      const addresses = ip.write(batch, i, sources);
      const both =
        ((portOf(sequence[i] as number, this.#ports) << 16) | (ports[i] as number)) >>> 0;
      udp.at = (packetAt[i] as number) + ip.octets;
      udp.ports = both;
      let sum = this.#sum + addresses + sumOf32(both);
      if (words > 0) {
        const first = udp.at + (from & ~1);
        for (let at = 0; at < cookieOctets; at++) udp.view.setUint8(udp.at + from + at, 0);
        const before = sumWords(udp.view, first, words);
        setWord(udp.view, udp.at + from, cookieOctets, identification[i] as number);
        sum += sumWords(udp.view, first, words) - before;
      }
      udp.checksum = foldChecksum(sum);
    }
  }
}

function datagramReplies({ options, ports }: ProbeSetup): ReplyReader {
  const payload = payloadOf(options);
  const { cookieAt, cookieOctets, echoAt } = payload;
  const hasWord = ({ view, end }: Dissection, at: number, word: number) => {
    if (at + cookieOctets > end) return false;
    for (let i = 0; i < cookieOctets; i++) {
      if (view.getUint8(at + i) !== ((word >>> (24 - 8 * i)) & 255)) return false;
    }
    return true;
  };
  return {
    validate(reply: Dissection, cookies: CookieMac): boolean {
      const { flow, isError, quotedAt, at, end } = reply;
      cookies.compute(flow, 0);
      if (flow.source.port !== portOf(cookies.sequence, ports)) return false;
      const quoted = quotedAt + UDP_OCTETS + cookieAt;
      // A quote may end after eight octets; what it has of the payload must be right.
      if (isError) return quoted + cookieOctets > end || hasWord(reply, quoted, cookies.second);
      return echoAt < 0 || hasWord(reply, at + UDP_OCTETS + echoAt, cookies.second);
    },
    classify: (reply) => (reply.isError ? (isPortUnreachable(reply) ? 1 : 2) : 0),
    echoedStamp: () => -1,
  };
}

/** True for a port unreachable from the target itself; firewalls send them, too, from their own addresses. */
function isPortUnreachable({ isIpv6, icmp, responder, flow }: Dissection): boolean {
  const [type, code] = isIpv6
    ? [ICMPV6_UNREACHABLE, PORT_UNREACHABLE_V6]
    : [ICMP_UNREACHABLE, PORT_UNREACHABLE];
  const { w0, w1, w2, w3 } = flow.target;
  const isTarget =
    responder.w3 === w3 && responder.w2 === w2 && responder.w1 === w1 && responder.w0 === w0;
  return icmp.type === type && icmp.code === code && isTarget;
}

export const udp: Probe = {
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
  replies: datagramReplies,
};
