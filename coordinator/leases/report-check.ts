/** Checks what an agent reports of a shard: a report that is not possible is not believed. */
import type { EpochRecord, Progress } from '../../shared/survey/lease.js';
import { sumReplies } from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import { sumUnsent } from '../../shared/survey/unsent.js';

export interface ReportContext {
  readonly shard: Shard;
  /** The survey's, in milliseconds. */
  readonly cooldown: number;
  /** When this epoch was opened, by our monotonic clock; undefined if an earlier coordinator opened it. */
  readonly openedAt: number | undefined;
  readonly now: number;
}

/** The first rule that a report violates; undefined if it is possible. @param known the epoch as last reported */
export function violationOf(
  progress: Progress,
  known: EpochRecord,
  { shard, cooldown, openedAt, now }: ReportContext,
): string | undefined {
  const { sentUpTo, settledUpTo, probesSent, batches, replies } = progress;
  if (sentUpTo > shard.to) return `sent up to ${sentUpTo}, beyond the shard's end ${shard.to}`;
  if (settledUpTo > sentUpTo) return `settled up to ${settledUpTo}, but sent up to ${sentUpTo}`;
  if (settledUpTo < known.settledUpTo) return `settledUpTo falls to ${settledUpTo}`;
  if (sentUpTo < known.sentUpTo) return `sentUpTo falls to ${sentUpTo}`;
  if (probesSent < known.probesSent) return `probesSent falls to ${probesSent}`;
  if (batches < known.batches) return `batches fall to ${batches}`;
  const settled = settledUpTo - known.from;
  const classified = sumReplies(replies) + sumUnsent(progress);
  if (classified > settled) return `${classified} positions have a class, but ${settled} settled`;
  if (probedOf(progress, known.from) > probesSent)
    return `${settled} positions settled with ${probesSent} probes`;
  const isEarly = openedAt !== undefined && settled > 0 && now - openedAt < cooldown;
  return isEarly
    ? `settled ${Math.round(now - openedAt)} ms after the lease was opened`
    : undefined;
}

/** Settled positions of an epoch to which a probe was sent. */
export function probedOf(progress: Progress, from: number): number {
  return progress.settledUpTo - from - sumUnsent(progress);
}
