/**
 * Leases as records: who may probe a shard, and what each holder did. Epochs are the fence: the last
 * report names the holder, and epoch e owns the positions [from, settled) of its report, where
 * `from` is the settled position of the epoch before it.
 */

import type { Shard } from './plan.js';
import type { VersionSpan } from './policy/exclusions.js';
import { noneUnsent, type UnsentCounts } from './unsent.js';

/**
 * Positions before `settled` by their best reply, and those of which no probe left by the reason; the
 * rest is silence.
 */
export interface Counts extends Readonly<UnsentCounts> {
  readonly synack: number;
  readonly rst: number;
  readonly icmp: number;
}

export interface EpochRecord extends Counts {
  readonly epoch: number;
  readonly agent: string;
  readonly vantage: string;
  readonly from: number;
  /** Every position before it left, or was passed by. */
  readonly sentUpTo: number;
  /** Probes of those that left. */
  readonly probesSent: number;
  /** Every position before it needs no further probe. */
  readonly settledUpTo: number;
  /** The rows before `settled` are in the epoch's batches with serials [0, batches). */
  readonly batches: number;
  /** Of the rules by which this agent holds back targets itself; empty where it has none. */
  readonly rulesHash: string;
  /** Wall clock. */
  readonly startedAt: number;
  readonly updatedAt: number;
  /** Which exclusions were held against from where on; ascending. */
  readonly versionSpans: readonly VersionSpan[];
}

/** Held by the last report's agent; given back unfinished; or settled to its end. */
export type LeaseState = 'held' | 'released' | 'settled';

export interface Lease {
  readonly survey: string;
  readonly shard: number;
  readonly state: LeaseState;
  readonly epochs: readonly EpochRecord[];
}

/** The report of the epoch that holds, or last held, the shard. */
export function lastEpoch(lease: Lease): EpochRecord | undefined {
  return lease.epochs.at(-1);
}

/** Where the next holder starts. */
export function settledUpToOf(lease: Lease | undefined, shard: Shard): number {
  return (lease && lastEpoch(lease)?.settledUpTo) ?? shard.from;
}

/** The same with nothing owned by its reports from `first` on: the next epoch begins where that one began. */
export function rewound(lease: Lease, first: number): Lease {
  const from = lease.epochs[first]?.from;
  if (from === undefined) return lease;
  const nothing = emptyEpoch(from);
  const epochs = lease.epochs.map((report, i) => (i < first ? report : { ...report, ...nothing }));
  return { ...lease, state: 'released', epochs };
}

/** What an epoch owns that begins at a position and has settled nothing. */
export function emptyEpoch(from: number) {
  const counts: Counts = { synack: 0, rst: 0, icmp: 0, ...noneUnsent() };
  return { from, settledUpTo: from, batches: 0, ...counts };
}
