/**
 * Result batches: rows of one shard, column by column. Columns are arrays of numbers, because a batch is
 * filled in the capture callback, where an object per row would cost more than all other work on a reply.
 */
import { VANTAGE } from '../net/vantage.js';

const AGENT = /^[A-Za-z0-9_-]{1,64}$/;

export const COLUMN_NAMES = [
  'offset',
  'timestampDelta',
  'classification',
  'flags',
  'source0',
  'source1',
  'source2',
  'source3',
  'sourcePort',
  'responder0',
  'responder1',
  'responder2',
  'responder3',
  'sequence',
  'acknowledgment',
  'window',
  'timeToLive',
  'identification',
  'icmpType',
  'icmpCode',
  'optionMask',
  'maximumSegment',
  'windowScale',
  'timestampValue',
  'timestampEcho',
  'roundTrip',
] as const;

export type ColumnName = (typeof COLUMN_NAMES)[number];

/**
 * The upper words of addresses. Most batches contain IPv4 only, whose upper words are constant: these columns
 * are sent empty then.
 */
export const UPPER_COLUMNS = [
  ['source0', 0],
  ['source1', 0],
  ['source2', 0xffff],
  ['responder0', 0],
  ['responder1', 0],
  ['responder2', 0xffff],
] as const satisfies readonly (readonly [ColumnName, number])[];

/** Equally long arrays; units and meanings are in `proto/results.proto`. */
export type Columns = Record<ColumnName, number[]>;

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

export const OPTION_MASK = { MSS: 1, WINDOW_SCALE: 2, SACK: 4, TIMESTAMPS: 8 } as const;

/**
 * The first microsecond of the year 2100: a later clock is wrong, and Date could not represent much later
 * times.
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
  return Object.fromEntries(COLUMN_NAMES.map((name) => [name, [] as number[]])) as Columns;
}
