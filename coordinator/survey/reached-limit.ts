/** Compares the progress of a running survey with its limits. Positions that were never probed count as nothing. */
import type { Authorization } from '../../shared/authorization/authorization.js';
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Survey } from '../../shared/survey/survey.js';
import { type EndReason, hasEndingLimit, limitReached } from '../../shared/survey/survey-limits.js';
import type { ShardStorer } from '../storage/shard-storer.js';

/** The limit that is reached; empty if none is. @param now wall clock, milliseconds since the Unix epoch */
export function reachedLimit(
  { survey, storer, probeSet, authorization }: Limited,
  now: number,
): EndReason {
  const { limits, createdAt, state } = survey;
  const { table } = storer;
  if (state !== 'running') return '';
  if (authorization !== undefined) {
    const { maxProbes, notAfter } = authorization;
    const isSpent = table.totals.probesSent >= maxProbes && !table.isComplete;
    if (isSpent || now > Date.parse(notAfter)) return 'authorization';
  }
  if (!hasEndingLimit(limits)) return '';
  const elapsed = now - createdAt;
  if (limits.maxResults === 0 && limits.minHitrate === 0) {
    return limitReached(limits, { rows: 0, elapsed, settled: 0, hits: 0 });
  }
  const { settled, replies } = table.settledReplies;
  const count = (names: readonly string[]) =>
    names.reduce((sum, name) => sum + (replies[name] ?? 0), 0);
  // Replies of a class that always yields rows count at once; all other rows count only once they are
  // stored.
  const certain = count(probeSet.namesWithRows(survey.rows === 'all'));
  const rows = Math.max(table.rowsStored, certain);
  const hits = count(probeSet.namesWithRows(false));
  return limitReached(limits, { rows, elapsed, settled, hits });
}

interface Limited {
  readonly survey: Survey;
  readonly storer: ShardStorer;
  readonly probeSet: ProbeSet;
  /** Undefined if it has none. */
  readonly authorization: Authorization | undefined;
}
