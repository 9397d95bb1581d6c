/**
 * The columns of Parquet files: how each is read from a row, how it is stored, and how ZMap's fields are
 * computed from the stored ones. Addresses are 16 octets (IPv4 mapped, RFC 4291 §2.5.5.2) and text.
 */
import type { Words } from '../../shared/net/endpoint.js';
import { formatWords, isMapped } from '../../shared/net/ipv6.js';
import { UNREACHABLE_NAMES, UNREACHABLE_NAMES_V6 } from '../../shared/packet/icmp.js';
import { CLASSIFICATION_NAMES, isSuccess } from '../../shared/probe/classification.js';
import {
  type ColumnName,
  FLAG_COOLDOWN,
  FLAG_REPEAT,
  OPTION_MASK,
  type ResultBatch,
} from '../../shared/survey/results.js';
import { quote } from './duck.js';
import type { RowSource } from './row.js';

/** One column of the table that rows are gathered in. */
export interface GatheredColumn {
  readonly name: string;
  readonly type: string;
  /** Octets of a value; 0 for text. */
  readonly width: number;
  /** Writes a value in host order. @returns false if the row has none */
  readonly write?: (view: DataView, at: number, source: RowSource) => boolean;
  readonly text?: (source: RowSource) => string | null;
}

type Read = (source: RowSource) => number;
type Has = (source: RowSource) => boolean;

const always: Has = () => true;
const isTcp: Has = ({ isIcmp }) => !isIcmp;
const isIcmp: Has = (source) => source.isIcmp;
const hasOption =
  (mask: number): Has =>
  (source) =>
    (source.column('optionMask') & mask) !== 0;
const column =
  (name: ColumnName): Read =>
  (source) =>
    source.column(name);

const u8 = (name: string, read: Read, has = always): GatheredColumn => ({
  name,
  type: 'UTINYINT',
  width: 1,
  write: (view, at, source) => {
    if (!has(source)) return false;
    view.setUint8(at, read(source));
    return true;
  },
});
const boolean = (name: string, read: Has, has = always): GatheredColumn => ({
  ...u8(name, (source) => (read(source) ? 1 : 0), has),
  type: 'BOOLEAN',
});
const u16 = (name: string, read: Read, has = always): GatheredColumn => ({
  name,
  type: 'USMALLINT',
  width: 2,
  write: (view, at, source) => {
    if (!has(source)) return false;
    view.setUint16(at, read(source), true);
    return true;
  },
});
const u32 = (name: string, read: Read, has = always): GatheredColumn => ({
  name,
  type: 'UINTEGER',
  width: 4,
  write: (view, at, source) => {
    if (!has(source)) return false;
    view.setUint32(at, read(source), true);
    return true;
  },
});
/** A whole number below 2^53 in 64 bits. */
const u64 = (name: string, type: string, read: Read): GatheredColumn => ({
  name,
  type,
  width: 8,
  write: (view, at, source) => {
    const value = read(source);
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    return true;
  },
});

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
    u16('sport', ({ target }) => target.port),
    ...address('daddr', (source) => source.source()),
    u16('dport', column('sourcePort')),
    u32('seqnum', column('sequence'), isTcp),
    u32('acknum', column('acknowledgment'), isTcp),
    u16('window', column('window'), isTcp),
    u8('ttl', column('timeToLive')),
    u32('ipid', column('identification')),
    u8('class', ({ code }) => code),
    boolean('success', ({ code }) => isSuccess(code)),
    boolean('repeat', (source) => (source.column('flags') & FLAG_REPEAT) !== 0),
    boolean('cooldown', (source) => (source.column('flags') & FLAG_COOLDOWN) !== 0),
    ...address('icmp_responder', (source) => source.responder(), isIcmp),
    u8('icmp_type', column('icmpType'), isIcmp),
    u8('icmp_code', column('icmpCode'), isIcmp),
    u16('tcpopt_mss', column('maximumSegment'), hasOption(OPTION_MASK.MSS)),
    u8('tcpopt_wscale', column('windowScale'), hasOption(OPTION_MASK.WINDOW_SCALE)),
    boolean('tcpopt_sack_perm', hasOption(OPTION_MASK.SACK), isTcp),
    u32('tcpopt_ts_val', column('timestampValue'), hasOption(OPTION_MASK.TIMESTAMPS)),
    u32('tcpopt_ts_ecr', column('timestampEcho'), hasOption(OPTION_MASK.TIMESTAMPS)),
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
  const classes = CLASSIFICATION_NAMES.map((name) => quote(name ?? ''));
  return [
    ...storedAddress('saddr'),
    'sport',
    ...storedAddress('daddr'),
    'dport, seqnum, acknum, "window", ttl, ipid',
    `([${classes.join(', ')}])[class + 1]::ENUM(${classes.join(', ')}) AS classification`,
    'success, repeat, cooldown',
    ...storedAddress('icmp_responder'),
    'icmp_type, icmp_code, tcpopt_mss, tcpopt_wscale, tcpopt_sack_perm, tcpopt_ts_val, tcpopt_ts_ecr',
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
