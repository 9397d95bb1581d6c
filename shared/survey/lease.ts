/**
 * Lease records: who may probe a shard, and what each holder did. Epochs are fencing tokens: the last epoch
 * names the holder, and each epoch owns the positions [from, settledUpTo), where `from` is the `settledUpTo`
 * of the epoch before it.
 */

import type { IcmpFindings } from './icmp-findings.js';
import type { Shard } from './plan.js';
import type { VersionSpan } from './policy/exclusions.js';
import { noneUnsent, UNSENT_NAMES, type UnsentCounts } from './unsent.js';

/**
 * Counts of positions below `settledUpTo`: by the class of their best reply, and unsent ones by reason. The
 * others are silent.
 */
export interface Counts extends Readonly<UnsentCounts> {
  /** By the name of a class; classes without replies may be absent. */
  readonly replies: Readonly<Record<string, number>>;
}

export interface EpochRecord extends Counts, IcmpFindings {
  readonly epoch: number;
  readonly agent: string;
  readonly vantage: string;
  readonly from: number;
  /** Every position below it was sent, or recorded as unsent. */
  readonly sentUpTo: number;
  /** Probes sent, including repeated ones. */
  readonly probesSent: number;
  /** No position below it needs a further probe. */
  readonly settledUpTo: number;
  /** The rows below `settledUpTo` are in the epoch's batches with serials [0, batches). */
  readonly batches: number;
  /** Hash of the agent's own block rules; empty if it has none. */
  readonly rulesHash: string;
  /** Wall clock. */
  readonly startedAt: number;
  readonly updatedAt: number;
  /** The versions of the exclusions against which positions were checked, ascending. */
  readonly versionSpans: readonly VersionSpan[];
  /** Of the agent's last report (`textOfReport`), with its public key; undefined without a login, or before the end. */
  readonly signature?: string | undefined;
}

/** The fields of an epoch record that its holder reports. */
export type Progress = Counts &
  Pick<
    EpochRecord,
    'sentUpTo' | 'probesSent' | 'settledUpTo' | 'batches' | 'versionSpans' | 'signature'
  >;

/** Held by the agent of the last epoch; released before its end; or completely settled. */
export type LeaseState = 'held' | 'released' | 'settled';

export interface Lease {
  readonly survey: string;
  readonly shard: number;
  readonly state: LeaseState;
  readonly epochs: readonly EpochRecord[];
  /** The fencing term of the coordinator that wrote this record. */
  readonly term: number;
}

/** The epoch that holds, or last held, the shard. */
export function lastEpoch(lease: Lease): EpochRecord | undefined {
  return lease.epochs.at(-1);
}

/** The position where the next epoch starts. */
export function settledUpToOf(lease: Lease | undefined, shard: Shard): number {
  return (lease && lastEpoch(lease)?.settledUpTo) ?? shard.from;
}

/**
 * The lease, released, with nothing settled by the epochs from index `first` on: the next epoch starts where
 * epoch `first` started.
 */
export function rewound(lease: Lease, first: number): Lease {
  const from = lease.epochs[first]?.from;
  if (from === undefined) return lease;
  const nothing = emptyEpoch(from);
  const epochs = lease.epochs.map((report, i) => (i < first ? report : { ...report, ...nothing }));
  return { ...lease, state: 'released', epochs };
}

/** An epoch that starts at a position and has settled nothing. */
export function emptyEpoch(from: number) {
  const counts: Counts = { replies: {}, ...noneUnsent() };
  return { from, settledUpTo: from, batches: 0, ...counts, signature: undefined };
}

/** An epoch as its agent reports it at the end. */
export interface ReportedEpoch extends Omit<Progress, 'versionSpans' | 'signature'> {
  readonly survey: string;
  readonly shard: number;
  readonly epoch: number;
  readonly agent: string;
  readonly from: number;
}

/** The text that an agent signs with its last report of an epoch. */
export function textOfReport(reported: ReportedEpoch): string {
  const { survey, shard, epoch, agent, from, sentUpTo, settledUpTo, probesSent, batches } =
    reported;
  const replies = Object.entries(reported.replies)
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const unsent = UNSENT_NAMES.map((name) => reported[name]);
  const place = [survey, shard, epoch, agent, from];
  const counts = [sentUpTo, settledUpTo, probesSent, batches, ...replies.flat(), ...unsent];
  return ['transect report', ...place, ...counts].join(' ');
}

/** Replies of all classes. */
export function sumReplies(replies: Readonly<Record<string, number>>): number {
  return Object.values(replies).reduce((sum, count) => sum + count, 0);
}

/** Adds `replies` to `sums`, class by class. */
export function addReplies(
  sums: Record<string, number>,
  replies: Readonly<Record<string, number>>,
): void {
  for (const [name, count] of Object.entries(replies)) sums[name] = (sums[name] ?? 0) + count;
}
