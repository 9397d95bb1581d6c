/**
 * One row of results as users and pipelines see it: ZMap's field names, for existing pipelines, and our own.
 * `TABLE` is the only list of fields.
 */
import { isoTime } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import type { Words } from '../../shared/net/endpoint.js';
import { Target } from '../../shared/net/endpoint.js';
import { formatAddress, formatWords } from '../../shared/net/ipv6.js';
import {
  ICMP_UNREACHABLE,
  ICMPV6_UNREACHABLE,
  UNREACHABLE_NAMES,
  UNREACHABLE_NAMES_V6,
} from '../../shared/packet/icmp.js';
import {
  CLASSIFICATION,
  CLASSIFICATION_NAMES,
  isSuccess,
} from '../../shared/probe/classification.js';
import type { Plan } from '../../shared/survey/plan.js';
import {
  type ColumnName,
  FLAG_COOLDOWN,
  FLAG_REPEAT,
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
  batch!: ResultBatch;
  #columns!: ResultBatch['columns'];
  row = 0;
  position = 0;
  readonly target = new Target();
  code = 0;
  isIcmp = false;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  moveTo(batch: ResultBatch, row: number): this {
    this.batch = batch;
    this.#columns = batch.columns;
    this.row = row;
    this.position = batch.shard * this.#plan.shardLength + (batch.columns.offset[row] as number);
    this.#plan.fillTarget(this.position, this.target);
    this.code = this.column('classification');
    this.isIcmp = this.code === CLASSIFICATION.ICMP;
    return this;
  }

  column(name: ColumnName): number {
    return this.#columns[name][this.row] as number;
  }
  /** The four words of our address; `responder`: of the sender of an ICMP error. */
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

const SOURCE = ['source0', 'source1', 'source2', 'source3'] as const;
const RESPONDER = ['responder0', 'responder1', 'responder2', 'responder3'] as const;

const TABLE: readonly FieldReader[] = [
  text('saddr', 'address probed', ({ target }) => formatAddress(target)),
  number('sport', 'port probed', ({ target }) => target.port),
  text('daddr', 'our address', (source) => formatWords(source.source())),
  number('dport', 'our port', (source) => source.column('sourcePort')),
  number('seqnum', 'TCP sequence number of the reply', tcp('sequence')),
  number('acknum', 'TCP acknowledgment number of the reply', tcp('acknowledgment')),
  number('window', 'TCP window of the reply', tcp('window')),
  number('ttl', 'time to live of the reply', (source) => source.column('timeToLive')),
  number('ipid', 'IP identification of the reply', (source) => source.column('identification')),
  text('classification', 'synack, rst or icmp', ({ code }) => CLASSIFICATION_NAMES[code] ?? null),
  boolean('success', 'true if the service is there', ({ code }) => isSuccess(code)),
  boolean('repeat', 'true if the target had answered before', flag(FLAG_REPEAT)),
  boolean('cooldown', 'true if it came after the last probe of its shard', flag(FLAG_COOLDOWN)),
  text('icmp_responder', 'address of the router or host that sent the ICMP error', (source) =>
    source.isIcmp ? formatWords(source.responder()) : null,
  ),
  number('icmp_type', 'ICMP type', icmp('icmpType')),
  number('icmp_code', 'ICMP code', icmp('icmpCode')),
  text('icmp_unreach_str', 'name of the ICMP unreachable code', unreachable),
  number('tcpopt_mss', 'maximum segment size', tcpOption(OPTION_MASK.MSS, 'maximumSegment')),
  number('tcpopt_wscale', 'window scale', tcpOption(OPTION_MASK.WINDOW_SCALE, 'windowScale')),
  boolean('tcpopt_sack_perm', 'SACK permitted', (source) =>
    source.isIcmp ? null : (source.column('optionMask') & OPTION_MASK.SACK) !== 0,
  ),
  number('tcpopt_ts_val', 'timestamp value', tcpOption(OPTION_MASK.TIMESTAMPS, 'timestampValue')),
  number('tcpopt_ts_ecr', 'timestamp echo', tcpOption(OPTION_MASK.TIMESTAMPS, 'timestampEcho')),
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
  number('rtt_ms', 'round-trip time, if the reply echoes our TCP timestamp', (source) =>
    source.column('roundTrip') === 0 ? null : (source.column('roundTrip') - 1) / 1000,
  ),
];

export const FIELDS: readonly Field[] = TABLE;

const INDEX = new Map(TABLE.map(({ name }, i) => [name, i]));

/** The values of a row, in the order of `FIELDS`. */
export function rowOf(source: RowSource): Row {
  return TABLE.map((field) => field.read(source));
}

/** The name of a column without values, as in the input of zgrab2. */
export const BLANK = 'blank';

/**
 * Indices of fields in a row, in the given order; −1 for a blank. @throws Fault BAD_OPTION for an unknown one
 */
export function fieldIndices(names: readonly string[]): readonly number[] {
  return names.map((name) => {
    const index = name === BLANK ? -1 : INDEX.get(name);
    if (index !== undefined) return index;
    const reason = `no such field; there are: ${TABLE.map((field) => field.name).join(' ')}`;
    throw new Fault('BAD_OPTION', reason, { flag: '--output-fields', value: name });
  });
}

/** Reads `saddr,sport`; `*` is all fields. @throws Fault BAD_OPTION */
export function parseFields(text: string): readonly string[] {
  if (text.trim() === '*') return TABLE.map(({ name }) => name);
  const names = text.split(',').map((name) => name.trim());
  fieldIndices(names);
  return names;
}

/** ZMap's default fields. */
export function defaultFields(ports: number): readonly string[] {
  return ports === 1 ? ['saddr'] : ['saddr', 'sport'];
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
function tcp(name: ColumnName): FieldReader['read'] {
  return (source) => (source.isIcmp ? null : source.column(name));
}
function icmp(name: ColumnName): FieldReader['read'] {
  return (source) => (source.isIcmp ? source.column(name) : null);
}
function tcpOption(mask: number, name: ColumnName): FieldReader['read'] {
  return (source) => ((source.column('optionMask') & mask) === 0 ? null : source.column(name));
}
function flag(mask: number): FieldReader['read'] {
  return (source) => (source.column('flags') & mask) !== 0;
}
function unreachable(source: RowSource): Value {
  const { isIcmp, target } = source;
  const isUnreachable =
    source.column('icmpType') === (target.isIpv4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE);
  const names = target.isIpv4 ? UNREACHABLE_NAMES : UNREACHABLE_NAMES_V6;
  return isIcmp && isUnreachable ? (names[source.column('icmpCode')] ?? null) : null;
}
function wordsOf(
  source: RowSource,
  [w0, w1, w2, w3]: readonly [ColumnName, ColumnName, ColumnName, ColumnName],
): Words {
  return [source.column(w0), source.column(w1), source.column(w2), source.column(w3)];
}
