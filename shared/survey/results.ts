/**
 * Result batches: rows of one shard, column by column. Columns are arrays of numbers, because a batch is
 * filled in the capture callback, where an object per row would cost more than all other work on a reply.
 */
import { VANTAGE } from '../net/vantage.js';

const AGENT = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The numeric columns, each with the value that most rows have in it. If all rows of a batch have that value,
 * the column is sent empty: for example, the upper words of addresses if all rows are IPv4, or the TCP fields
 * if no row is TCP. `offset` is always sent.
 */
const NUMBERS = {
  offset: 0,
  timestampDelta: 0,
  classification: 0,
  flags: 0,
  source0: 0,
  source1: 0,
  source2: 0xffff,
  source3: 0,
  sourcePort: 0,
  responder0: 0,
  responder1: 0,
  responder2: 0xffff,
  responder3: 0,
  responderPort: 0,
  sequence: 0,
  acknowledgment: 0,
  window: 0,
  timeToLive: 0,
  typeOfService: 0,
  identification: 0,
  icmpType: 0,
  icmpCode: 0,
  optionMask: 0,
  optionLayout: 0,
  maximumSegment: 0,
  windowScale: 0,
  timestampValue: 0,
  timestampEcho: 0,
  roundTrip: 0,
  dataLength: 0,
} as const;

export type ColumnName = keyof typeof NUMBERS;
export const COLUMN_NAMES = Object.keys(NUMBERS) as readonly ColumnName[];

/** The usual value of a column. */
export function usualValue(name: ColumnName): number {
  return NUMBERS[name];
}

/** Equally long arrays; units and meanings are in `proto/results.proto`. */
export type Columns = Record<ColumnName, number[]> & {
  /** The first octets of the payload of a reply. */
  data: Uint8Array[];
};

export interface ResultBatch {
  readonly survey: string;
  readonly shard: number;
  readonly epoch: number;
  /** Counts the batches of an epoch from 0. */
  readonly serial: number;
  readonly agent: string;
  readonly vantage: string;
  /** Microseconds since the Unix epoch; the timestamps of the rows are relative to it. */
  readonly timestamp: number;
  readonly columns: Columns;
}

export const FLAG_REPEAT = 1;
export const FLAG_COOLDOWN = 2;
export const FLAG_DF = 4;
export const FLAG_TCP = 8;
export const FLAG_ICMP = 16;
export const FLAG_ERROR = 32;
/** Octets of a reply's payload that are kept. */
export const DATA_OCTETS_MAX = 400;
/** The empty payload of most rows. */
export const NO_DATA = new Uint8Array(0);

export const OPTION_MASK = { MSS: 1, WINDOW_SCALE: 2, SACK: 4, TIMESTAMPS: 8 } as const;

/**
 * The first microsecond of the year 2100. Timestamps from then on are refused: the clock must be wrong, and
 * Date cannot represent times that are much later.
 */
const MICROS_MAX = 4_102_444_800e6;

/** The reason why the rows of a batch cannot be written in all formats; undefined if they can. */
export function reasonUnwritable({ agent, vantage, timestamp }: ResultBatch): string | undefined {
  if (!AGENT.test(agent)) return 'its agent name is invalid';
  if (!VANTAGE.test(vantage)) return 'its vantage label is invalid';
  if (!(timestamp >= 0 && timestamp < MICROS_MAX)) return 'its timestamp is out of range';
  return undefined;
}

export function emptyColumns(): Columns {
  const numbers = Object.fromEntries(COLUMN_NAMES.map((name) => [name, [] as number[]]));
  return { ...numbers, data: [] } as unknown as Columns;
}
