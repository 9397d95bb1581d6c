/**
 * The columns of Parquet files: how each is read from a row, how it is stored, and how ZMap's fields are
 * computed from the stored ones. Addresses are 16 octets (IPv4 mapped, RFC 4291 §2.5.5.2) and text.
 */
import type { Words } from '../../shared/net/endpoint.js';
import { formatWords, isMapped } from '../../shared/net/ipv6.js';
import { UNREACHABLE_NAMES, UNREACHABLE_NAMES_V6 } from '../../shared/packet/icmp.js';
import { formatLayout } from '../../shared/packet/tcp.js';
import { UDP_OCTETS } from '../../shared/packet/udp.js';
import {
  type ColumnName,
  FLAG_COOLDOWN,
  FLAG_DF,
  FLAG_REPEAT,
  OPTION_MASK,
  type ResultBatch,
} from '../../shared/survey/results.js';
import { quote } from './duck.js';
import {
  boolean,
  type GatheredColumn,
  type Has,
  type Read,
  u8,
  u16,
  u32,
  u64,
} from './gathered-column.js';
import type { RowSource } from './row-source.js';

const always: Has = () => true;
const isPacket: Has = (source) => source.isPacket;
const isTcp: Has = (source) => source.isTcp;
const isIcmp: Has = (source) => source.isIcmp;
const isError: Has = (source) => source.isError;
const isUdp: Has = (source) => source.isUdp;
const hasOption =
  (mask: number): Has =>
  (source) =>
    (source.column('optionMask') & mask) !== 0;
const column =
  (name: ColumnName): Read =>
  (source) =>
    source.column(name);

/**
 * Three columns of an address: its octets; if it is IPv4, its last word, from which DuckDB makes the text; if
 * it is IPv6, its text. The octets are passed as a UUID, which DuckDB stores as a number in host order with
 * the first bit inverted.
 */
function address(name: string, read: (source: RowSource) => Words, has = always): GatheredColumn[] {
  let words: Words = [0, 0, 0, 0];
  let isIpv4 = false;
  return [
    {
      name: `${name}_id`,
      type: 'UUID',
      width: 16,
      write: (view, at, source) => {
        isIpv4 = false;
        if (!has(source)) return false;
        words = read(source);
        isIpv4 = isMapped(words);
        view.setUint32(at, words[3], true);
        view.setUint32(at + 4, words[2], true);
        view.setUint32(at + 8, words[1], true);
        view.setUint32(at + 12, words[0] ^ 0x80000000, true);
        return true;
      },
    },
    u32(
      `${name}_v4`,
      () => words[3],
      () => isIpv4,
    ),
    {
      name: `${name}_v6`,
      type: 'VARCHAR',
      width: 0,
      text: (source) => (isIpv4 || !has(source) ? null : formatWords(words)),
    },
  ];
}

/** A column of few distinct words, as indices into the dictionary. */
function word(
  name: string,
  dictionary: Dictionary,
  read: (source: RowSource) => string,
): GatheredColumn {
  return u16(name, (source) => dictionary.placeOf(read(source)));
}

/**
 * A column with the order of TCP options. The last text is kept, because most rows have the same order as the
 * row before.
 */
function layout(name: string): GatheredColumn {
  let last = 0;
  let said = '';
  const text = (source: RowSource) => {
    if (!source.isTcp || source.column('optionLayout') === 0) return null;
    const next = source.column('optionLayout');
    if (next !== last) said = formatLayout(next);
    last = next;
    return said;
  };
  return { name, type: 'VARCHAR', width: 0, text };
}

/** A column whose value is the same in all rows of a batch, as an index into the dictionary. */
function common(
  name: string,
  dictionary: Dictionary,
  read: (batch: ResultBatch) => string,
): GatheredColumn {
  let batch: ResultBatch | undefined;
  let index = 0;
  return u16(name, (source) => {
    if (source.batch !== batch) {
      batch = source.batch;
      index = dictionary.placeOf(read(batch));
    }
    return index;
  });
}

/** Texts of a column with few distinct values, as indices into a growing list. */
export class Dictionary {
  readonly #indices = new Map<string, number>();

  placeOf(text: string): number {
    const known = this.#indices.get(text);
    if (known !== undefined) return known;
    this.#indices.set(text, this.#indices.size);
    return this.#indices.size - 1;
  }

  /** An SQL list of the texts. */
  get list(): string {
    return `[${[...this.#indices.keys()].map(quote).join(', ')}]::VARCHAR[]`;
  }
}

/** The table that rows are gathered in. */
export function gathered(names: Dictionary): readonly GatheredColumn[] {
  return [
    ...address('saddr', ({ target }) => target.words),
    u16(
      'sport',
      ({ target }) => target.port,
      ({ hasPort }) => hasPort,
    ),
    word('probe', names, ({ probeName }) => probeName),
    ...address(
      'daddr',
      (source) => source.source(),
      (source) => source.hasSource,
    ),
    u16('dport', column('sourcePort'), (source) => source.column('sourcePort') > 0),
    u32('seqnum', column('sequence'), isTcp),
    u32('acknum', column('acknowledgment'), isTcp),
    u16('window', column('window'), isTcp),
    u8('ttl', column('timeToLive'), isPacket),
    u32('ipid', column('identification'), isPacket),
    word('classification', names, (source) => source.classification ?? ''),
    word('state', names, (source) => source.state),
    boolean('success', (source) => source.isSuccess),
    boolean('repeat', ({ flags }) => (flags & FLAG_REPEAT) !== 0),
    boolean('cooldown', ({ flags }) => (flags & FLAG_COOLDOWN) !== 0),
    ...address('icmp_responder', (source) => source.responder(), isError),
    u8('icmp_type', column('icmpType'), isIcmp),
    u8('icmp_code', column('icmpCode'), isIcmp),
    u16('tcpopt_mss', column('maximumSegment'), hasOption(OPTION_MASK.MSS)),
    u8('tcpopt_wscale', column('windowScale'), hasOption(OPTION_MASK.WINDOW_SCALE)),
    boolean('tcpopt_sack_perm', hasOption(OPTION_MASK.SACK), isTcp),
    u32('tcpopt_ts_val', column('timestampValue'), hasOption(OPTION_MASK.TIMESTAMPS)),
    u32('tcpopt_ts_ecr', column('timestampEcho'), hasOption(OPTION_MASK.TIMESTAMPS)),
    layout('tcpopt_layout'),
    boolean(
      'ip_df',
      ({ flags }) => (flags & FLAG_DF) !== 0,
      ({ isPacket, target }) => isPacket && target.isIpv4,
    ),
    u8('tos', column('typeOfService'), isPacket),
    u16('reply_sport', column('responderPort'), isUdp),
    {
      name: 'reply_saddr',
      type: 'VARCHAR',
      width: 0,
      text: (source) => (source.isUdp ? formatWords(source.responder()) : null),
    },
    u16('udp_pkt_size', (source) => source.column('dataLength') + UDP_OCTETS, isUdp),
    {
      name: 'data',
      type: 'VARCHAR',
      width: 0,
      text: (source) => (source.isUdp ? source.data || null : null),
    },
    { name: 'mac', type: 'VARCHAR', width: 0, text: ({ mac }) => mac },
    u64('timestamp', 'TIMESTAMP', (source) => source.micros()),
    common('survey', names, (batch) => batch.survey),
    u32('shard', ({ batch }) => batch.shard),
    u64('position', 'UBIGINT', ({ position }) => position),
    common('vantage', names, (batch) => batch.vantage),
    common('agent', names, (batch) => batch.agent),
    u32(
      'rtt_us',
      (source) => source.column('roundTrip') - 1,
      (source) => source.column('roundTrip') > 0,
    ),
  ];
}

/** The stored columns, as SQL over the gathered ones. */
export function storedOf(names: Dictionary): string {
  const { list } = names;
  return [
    ...storedAddress('saddr'),
    'sport',
    `(${list})[probe + 1] AS probe`,
    ...storedAddress('daddr'),
    'dport, seqnum, acknum, "window", ttl, ipid',
    `nullif((${list})[classification + 1], '') AS classification`,
    `(${list})[state + 1] AS state`,
    'success, repeat, cooldown',
    ...storedAddress('icmp_responder'),
    'icmp_type, icmp_code, tcpopt_mss, tcpopt_wscale, tcpopt_sack_perm, tcpopt_ts_val, tcpopt_ts_ecr',
    'tcpopt_layout, ip_df, tos, reply_sport, reply_saddr, udp_pkt_size, data, mac',
    '"timestamp"',
    `(${list})[survey + 1] AS survey`,
    'shard, "position"',
    `(${list})[vantage + 1] AS vantage`,
    `(${list})[agent + 1] AS agent`,
    'rtt_us',
  ].join(', ');
}

function storedAddress(name: string): string[] {
  const v4 = `${name}_v4`;
  const octets = [24, 16, 8].map((bits) => `(${v4} >> ${bits}) & 255`);
  return [
    `CASE WHEN ${v4} IS NULL THEN ${name}_v6 ELSE concat_ws('.', ${octets.join(', ')}, ${v4} & 255) END AS ${name}`,
    `${name}_id::BLOB AS ${name}_bytes`,
  ];
}

/** ZMap's fields that are not stored, computed from the stored ones: SQL by name. */
export const DERIVED: Readonly<Record<string, string>> = {
  timestamp_str: `strftime("timestamp", '%Y-%m-%dT%H:%M:%S.%g') || 'Z'`,
  timestamp_ts: `epoch_us("timestamp") // 1000000`,
  timestamp_us: `epoch_us("timestamp") % 1000000`,
  rtt_ms: 'rtt_us / 1000',
  ecn: 'tos & 3',
  icmp_unreach_str: [
    `CASE WHEN contains(saddr, ':') THEN ${namesOf(1, UNREACHABLE_NAMES_V6)}`,
    `ELSE ${namesOf(3, UNREACHABLE_NAMES)} END`,
  ].join(' '),
};

function namesOf(type: number, names: readonly (string | undefined)[]): string {
  const cases = names.flatMap((name, code) =>
    name === undefined ? [] : [`WHEN ${code} THEN ${quote(name)}`],
  );
  return `CASE WHEN icmp_type = ${type} THEN CASE icmp_code ${cases.join(' ')} END END`;
}
