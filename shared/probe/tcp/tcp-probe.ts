/** The common part of the TCP probes: each is described by its flags and by the replies that it accepts. */
import type { Dissection } from '../../packet/dissect.js';
import { PROTOCOL_TCP } from '../../packet/ipv4.js';
import { FLAG_RST, TCP_OCTETS } from '../../packet/tcp.js';
import { replyFilter, tcpFlagFilter } from '../capture-filter.js';
import type { Cookies } from '../cookies.js';
import { ipOctets } from '../ip-header.js';
import {
  type Family,
  ICMP_CLASS,
  type PacketProbe,
  type ProbeOption,
  type ProbeOptions,
  type ReplyClass,
  type TargetState,
} from '../probe.js';
import { type SegmentShape, TcpSegments } from './tcp-segments.js';

export interface TcpProbeSpec {
  readonly name: string;
  readonly about: string;
  /** The classes of replies that are segments; the class of ICMP errors is added to them. */
  readonly classes: readonly ReplyClass[];
  readonly silence: TargetState;
  readonly options: readonly ProbeOption[];
  /** A condition on the flags of a reply, as in `tcpFlagFilter`; resets always pass. */
  readonly alsoFlags?: string;
  tradeOff?(options: ProbeOptions): string;
  shape(family: Family, options: ProbeOptions): SegmentShape;
  /** True if a segment proves by its numbers that it answers a probe with this cookie. */
  isProof(reply: Dissection['tcp'], cookie: number): boolean;
  /** Index of the class of a segment in `classes`. */
  classify(reply: Dissection['tcp']): number;
}

export function tcpProbe(spec: TcpProbeSpec): PacketProbe {
  const { classes, shape, isProof, classify } = spec;
  const all = [...classes, ICMP_CLASS];
  return {
    kind: 'packet',
    name: spec.name,
    about: spec.about,
    families: [4, 6],
    hasPorts: true,
    choosesSourcePort: true,
    classes: all,
    silence: spec.silence,
    cookieBits: { reply: '32', quote: '32' },
    options: spec.options,
    ...(spec.tradeOff === undefined ? {} : { tradeOff: spec.tradeOff }),
    protocol: () => PROTOCOL_TCP,
    octets: (family, options) =>
      ipOctets(family) + TCP_OCTETS + shape(family, options).options.length,
    captureFilter: (origin) => replyFilter(origin, PROTOCOL_TCP, tcpFlagFilter(spec.alsoFlags)),
    packets: (view, family, { options }) => new TcpSegments(view, family, shape(family, options)),
    replies: ({ options }) => {
      const isStamped = shape(4, options).stampAt > 0;
      return {
        validate(reply: Dissection, cookies: Cookies): boolean {
          if (!cookies.compute(reply.flow)) return false;
          return reply.isError
            ? reply.quotedTcp.sequence === cookies.sequence
            : isProof(reply.tcp, cookies.sequence);
        },
        classify: (reply) => (reply.isError ? classes.length : classify(reply.tcp)),
        /** RFC 7323 §3.2: TSecr of a SYN-ACK is the TSval of its SYN. */
        echoedStamp: ({ isError, tcpOptions }) =>
          isStamped && !isError ? tcpOptions.timestampEcho : -1,
      };
    },
  };
}

/**
 * The number that a reset takes from our segment. `acknowledges` is the length of our segment, in which a FIN
 * counts as 1.
 */
export type ResetRule = 'repeats our acknowledgment number' | { readonly acknowledges: number };

/**
 * True for resets with the numbers of RFC 9293 §3.10.7.1. If our segment has ACK, the reset's SEQ is our
 * acknowledgment number; if not, the reset's ACK is our sequence number plus the length of our segment.
 */
export function isResetTo(rule: ResetRule): TcpProbeSpec['isProof'] {
  return (reply, cookie) => {
    if ((reply.flags & FLAG_RST) === 0) return false;
    return typeof rule === 'string'
      ? reply.sequence === cookie
      : (reply.acknowledgment - cookie) >>> 0 === rule.acknowledges;
  };
}

/** The window of probes that open no connection. */
const BARE_WINDOW = 1024;

/** A segment without options. */
export function bareSegment(flags: number): TcpProbeSpec['shape'] {
  return (_, options) => ({
    flags,
    window: BARE_WINDOW,
    options: [],
    stampAt: 0,
    ttl: Number(options['ttl']),
  });
}
