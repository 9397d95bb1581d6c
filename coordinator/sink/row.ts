/**
 * One row of results as users and pipelines see it: ZMap's field names, for existing pipelines, and our own.
 * `TABLE` is the only list of fields.
 */
import { isoTime } from '../../shared/base/clock.js';
import type { Words } from '../../shared/net/endpoint.js';
import { Target } from '../../shared/net/endpoint.js';
import { formatAddress, formatWords } from '../../shared/net/ipv6.js';
import { formatMac } from '../../shared/packet/ethernet.js';
import {
  ICMP_UNREACHABLE,
  ICMPV6_UNREACHABLE,
  UNREACHABLE_NAMES,
  UNREACHABLE_NAMES_V6,
} from '../../shared/packet/icmp.js';
import { formatLayout } from '../../shared/packet/tcp.js';
import { UDP_OCTETS } from '../../shared/packet/udp.js';
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import {
  type ColumnName,
  FLAG_COOLDOWN,
  FLAG_DF,
  FLAG_ERROR,
  FLAG_ICMP,
  FLAG_REPEAT,
  FLAG_TCP,
  OPTION_MASK,
  type ResultBatch,
} from '../../shared/survey/results.js';

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

/** A row of a batch, with its target from the plan; one object that is moved from row to row. */
export class RowSource {
  readonly #plan: Plan;
  readonly #set: ProbeSet;
  batch!: ResultBatch;
  #columns!: ResultBatch['columns'];
  row = 0;
  position = 0;
  readonly target = new Target();
  code = 0;
  flags = 0;

  constructor(plan: Plan, set: ProbeSet) {
    this.#plan = plan;
    this.#set = set;
  }

  moveTo(batch: ResultBatch, row: number): this {
    this.batch = batch;
    this.#columns = batch.columns;
    this.row = row;
    this.position = batch.shard * this.#plan.shardLength + (batch.columns.offset[row] as number);
    this.#plan.fillTarget(this.position, this.target);
    this.code = this.column('classification');
    this.flags = this.column('flags');
    return this;
  }

  /** Name of the class; null for a code that the survey does not have. */
  get classification(): string | null {
    return this.#set.classNames[this.code] ?? null;
  }
  get isSuccess(): boolean {
    return this.#set.isSuccess(this.target.probe, this.code);
  }
  /** The state of the target according to the reply. */
  get state(): string {
    return this.#set.stateOf(this.target.probe, this.code);
  }
  get probeName(): string {
    return this.#set.all[this.target.probe]?.probe.name ?? '';
  }
  /** The MAC address of a neighbour; null for other replies. */
  get mac(): string | null {
    const isNeighbour = this.#set.all[this.target.probe]?.probe.kind === 'neighbour';
    const octets = this.#columns.data[this.row];
    return isNeighbour && octets !== undefined ? formatMac(octets) : null;
  }
  get hasPort(): boolean {
    return this.#set.all[this.target.probe]?.probe.hasPorts ?? true;
  }
  /** False for the outcome of a connection, of which the kernel shows us no packet. */
  get isPacket(): boolean {
    return this.column('timeToLive') > 0;
  }
  get isTcp(): boolean {
    return (this.flags & FLAG_TCP) !== 0;
  }
  get isIcmp(): boolean {
    return (this.flags & FLAG_ICMP) !== 0;
  }
  get isError(): boolean {
    return (this.flags & FLAG_ERROR) !== 0;
  }
  get isUdp(): boolean {
    return this.column('dataLength') > 0 || this.column('responderPort') > 0;
  }
  /** False for a connection that was refused: then our address is not known. */
  get hasSource(): boolean {
    return this.column('source3') !== 0 || this.column('source0') !== 0;
  }
  /** The first octets of the payload, in hexadecimal. */
  get data(): string {
    return Buffer.from(this.#columns.data[this.row] ?? []).toString('hex');
  }

  column(name: ColumnName): number {
    return this.#columns[name][this.row] as number;
  }
  /**
   * `source`: the four words of our address. `responder`: the four words of the address that sent an ICMP
   * error.
   */
  source(): Words {
    return wordsOf(this, SOURCE);
  }
  responder(): Words {
    return wordsOf(this, RESPONDER);
  }
  /** Microseconds since the Unix epoch. */
  micros(): number {
    return this.batch.timestamp + this.column('timestampDelta');
  }
}

const ECN_MASK = 3;
const SOURCE = ['source0', 'source1', 'source2', 'source3'] as const;
const RESPONDER = ['responder0', 'responder1', 'responder2', 'responder3'] as const;

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
function wordsOf(
  source: RowSource,
  [w0, w1, w2, w3]: readonly [ColumnName, ColumnName, ColumnName, ColumnName],
): Words {
  return [source.column(w0), source.column(w1), source.column(w2), source.column(w3)];
}
