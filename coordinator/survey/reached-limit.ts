/** Compares the progress of a running survey with its limits. */
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Survey } from '../../shared/survey/survey.js';
import { type EndReason, hasEndingLimit, limitReached } from '../../shared/survey/survey-limits.js';
import type { ShardStorer } from '../storage/shard-storer.js';

/** The limit that is reached; empty if none is. @param now wall clock, milliseconds since the Unix epoch */
export function reachedLimit({ survey, storer, probeSet }: Limited, now: number): EndReason {
  const { limits, createdAt, state } = survey;
  if (state !== 'running' || !hasEndingLimit(limits)) return '';
  const { table, rowsWaiting } = storer;
  const { settled, replies } = table.settledReplies;
  const hits = probeSet.namesWithRows(false).reduce((sum, name) => sum + (replies[name] ?? 0), 0);
  const rows = table.rowsStored + rowsWaiting;
  return limitReached(limits, { rows, elapsed: now - createdAt, settled, hits });
}

interface Limited {
  readonly survey: Survey;
  readonly storer: ShardStorer;
  readonly probeSet: ProbeSet;
}
