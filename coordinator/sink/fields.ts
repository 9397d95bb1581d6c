/**
 * The fields of results as users and pipelines see them: ZMap's field names, for existing pipelines, and our
 * own. The fields of alias tests are in `alias-fields.ts`.
 */
import { isoTime } from '../../shared/base/clock.js';
import { formatAddress, formatWords } from '../../shared/net/ipv6.js';
import {
  ICMP_UNREACHABLE,
  ICMPV6_UNREACHABLE,
  UNREACHABLE_NAMES,
  UNREACHABLE_NAMES_V6,
} from '../../shared/packet/icmp.js';
import { formatLayout } from '../../shared/packet/tcp.js';
import { UDP_OCTETS } from '../../shared/packet/udp.js';
import {
  type ColumnName,
  FLAG_COOLDOWN,
  FLAG_DF,
  FLAG_REPEAT,
  OPTION_MASK,
} from '../../shared/survey/results.js';
import type { RowSource } from './row-source.js';

export type Value = string | number | boolean | null;

/** Values in the order of `FIELDS`. */
export type Row = readonly Value[];

export interface Field {
  readonly name: string;
  readonly kind: 'string' | 'number' | 'boolean';
  readonly about: string;
}

interface FieldReader extends Field {
  read(source: RowSource): Value;
}

const ECN_MASK = 3;

const TABLE: readonly FieldReader[] = [
  text('saddr', 'address probed', ({ target }) => formatAddress(target)),
  number('sport', 'port probed', ({ hasPort, target }) => (hasPort ? target.port : null)),
  text('daddr', 'our address', (source) =>
    source.hasSource ? formatWords(source.source()) : null,
  ),
  number('dport', 'our port', (source) => source.column('sourcePort') || null),
  number('seqnum', 'TCP sequence number of the reply', tcp('sequence')),
  number('acknum', 'TCP acknowledgment number of the reply', tcp('acknowledgment')),
  number('window', 'TCP window of the reply', tcp('window')),
  number('ttl', 'time to live of the reply', packet('timeToLive')),
  number('ipid', 'IP identification of the reply', packet('identification')),
  text('probe', 'the probe', ({ probeName }) => probeName),
  text('classification', 'class of the reply: synack, rst, icmp, …', (source) => {
    return source.classification;
  }),
  text(
    'state',
    'state of the target by this reply: open, closed, filtered, …',
    ({ state }) => state,
  ),
  boolean('success', 'true if the reply is what the probe looks for', (source) => source.isSuccess),
  boolean(
    'repeat',
    'true if the target had answered before with as good a reply',
    flag(FLAG_REPEAT),
  ),
  boolean('cooldown', 'true if it came after the last probe of its shard', flag(FLAG_COOLDOWN)),
  text('icmp_responder', 'address of the router or host that sent the ICMP error', (source) =>
    source.isError ? formatWords(source.responder()) : null,
  ),
  number('icmp_type', 'ICMP type', icmp('icmpType')),
  number('icmp_code', 'ICMP code', icmp('icmpCode')),
  text('icmp_unreach_str', 'name of the ICMP unreachable code', unreachable),
  number('tcpopt_mss', 'maximum segment size', tcpOption(OPTION_MASK.MSS, 'maximumSegment')),
  number('tcpopt_wscale', 'window scale', tcpOption(OPTION_MASK.WINDOW_SCALE, 'windowScale')),
  boolean('tcpopt_sack_perm', 'SACK permitted', (source) =>
    source.isTcp ? (source.column('optionMask') & OPTION_MASK.SACK) !== 0 : null,
  ),
  number('tcpopt_ts_val', 'timestamp value', tcpOption(OPTION_MASK.TIMESTAMPS, 'timestampValue')),
  number('tcpopt_ts_ecr', 'timestamp echo', tcpOption(OPTION_MASK.TIMESTAMPS, 'timestampEcho')),
  text('tcpopt_layout', 'order of the TCP options: mss,sok,ts,nop,ws', (source) =>
    source.isTcp ? formatLayout(source.column('optionLayout')) || null : null,
  ),
  boolean('ip_df', 'true if IPv4’s DF (do not fragment) is set', (source) =>
    source.isPacket && source.target.isIpv4 ? (source.flags & FLAG_DF) !== 0 : null,
  ),
  number('tos', 'type of service or traffic class of the reply', packet('typeOfService')),
  number('ecn', 'its two low bits: explicit congestion notification', (source) => {
    return source.isPacket ? source.column('typeOfService') & ECN_MASK : null;
  }),
  number('reply_sport', 'port from which a UDP reply came', (source) =>
    source.isUdp ? source.column('responderPort') : null,
  ),
  text('reply_saddr', 'address from which a UDP reply came', (source) =>
    source.isUdp ? formatWords(source.responder()) : null,
  ),
  number('udp_pkt_size', 'octets of the UDP reply, header included', (source) =>
    source.isUdp ? source.column('dataLength') + UDP_OCTETS : null,
  ),
  text('data', 'first octets of a UDP reply’s payload, in hexadecimal', (source) =>
    source.isUdp ? source.data || null : null,
  ),
  text('mac', 'MAC address of a neighbour (arp, nd)', ({ mac }) => mac),
  text('timestamp_str', 'arrival of the reply, ISO 8601', (source) =>
    isoTime(source.micros() / 1e3),
  ),
  number('timestamp_ts', 'the same, seconds since the epoch', (source) =>
    Math.floor(source.micros() / 1e6),
  ),
  number('timestamp_us', 'microseconds of that second', (source) => source.micros() % 1e6),
  text('survey', 'survey id', ({ batch }) => batch.survey),
  number('shard', 'shard of the target', ({ batch }) => batch.shard),
  number('position', 'position of the target in the probing order', ({ position }) => position),
  text('vantage', 'vantage point label of the agent', ({ batch }) => batch.vantage),
  text('agent', 'the agent', ({ batch }) => batch.agent),
  number('rtt_ms', 'round-trip time, if the reply echoes our clock', (source) =>
    source.column('roundTrip') === 0 ? null : (source.column('roundTrip') - 1) / 1000,
  ),
];

export const FIELDS: readonly Field[] = TABLE;

/** The values of a row, in the order of `FIELDS`. */
export function rowOf(source: RowSource): Row {
  return TABLE.map((field) => field.read(source));
}

function text(name: string, about: string, read: FieldReader['read']): FieldReader {
  return { name, kind: 'string', about, read };
}
function number(name: string, about: string, read: FieldReader['read']): FieldReader {
  return { name, kind: 'number', about, read };
}
function boolean(name: string, about: string, read: FieldReader['read']): FieldReader {
  return { name, kind: 'boolean', about, read };
}
function packet(name: ColumnName): FieldReader['read'] {
  return (source) => (source.isPacket ? source.column(name) : null);
}
function tcp(name: ColumnName): FieldReader['read'] {
  return (source) => (source.isTcp ? source.column(name) : null);
}
function icmp(name: ColumnName): FieldReader['read'] {
  return (source) => (source.isIcmp ? source.column(name) : null);
}
function tcpOption(mask: number, name: ColumnName): FieldReader['read'] {
  return (source) => ((source.column('optionMask') & mask) === 0 ? null : source.column(name));
}
function flag(mask: number): FieldReader['read'] {
  return ({ flags }) => (flags & mask) !== 0;
}
function unreachable(source: RowSource): Value {
  const { isError, target } = source;
  const isUnreachable =
    source.column('icmpType') === (target.isIpv4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE);
  const names = target.isIpv4 ? UNREACHABLE_NAMES : UNREACHABLE_NAMES_V6;
  return isError && isUnreachable ? (names[source.column('icmpCode')] ?? null) : null;
}
