/**
 * Results as they travel: the rows of one shard, column by column. Arrays of numbers, because a
 * batch is filled in the capture callback and an object per row would cost more than the reply.
 */
export const COLUMN_NAMES = [
  'offset',
  'timestampDelta',
  'classification',
  'flags',
  'source',
  'sourcePort',
  'responder',
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
] as const;

export type ColumnName = (typeof COLUMN_NAMES)[number];

/** Equally long arrays; units and meanings stand in `proto/results.proto`. */
export type Columns = Record<ColumnName, number[]>;

export interface ResultBatch {
  readonly survey: string;
  readonly shard: number;
  readonly epoch: number;
  /** Counts the batches of an epoch from 0. */
  readonly serial: number;
  readonly agent: string;
  readonly vantage: string;
  /** Microseconds since the Unix epoch; the rows' stamps are relative to it. */
  readonly timestamp: number;
  readonly columns: Columns;
}

export const FLAG_REPEAT = 1;
export const FLAG_COOLDOWN = 2;

export const OPTION_MASK = { MSS: 1, WINDOW_SCALE: 2, SACK: 4, TIMESTAMPS: 8 } as const;

export function emptyColumns(): Columns {
  return Object.fromEntries(COLUMN_NAMES.map((name) => [name, [] as number[]])) as Columns;
}
