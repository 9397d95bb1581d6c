/**
 * The limits of a survey: the number of targets it covers, and the number of rows, the time, and the low hit
 * rate at which it ends early.
 */
import type { Millis } from '../base/brand.js';

export interface SurveyLimits {
  /** How many targets are covered, from the start of the probing order; at most the size of the space. */
  readonly maxTargets: number;
  /** The survey ends once it has this many rows; 0 for no limit. */
  readonly maxResults: number;
  /** The survey ends this long after its launch; 0 for no limit. */
  readonly maxRuntime: Millis;
  /** The survey ends if less than this percentage of its settled targets answers with success; 0 for no limit. */
  readonly minHitrate: number;
}

/** The limit that ended a survey; empty if none did. */
export const END_REASONS = [
  '',
  'max-results',
  'max-runtime',
  'min-hitrate',
  'authorization',
] as const;
export type EndReason = (typeof END_REASONS)[number];

/** The hit rate is ignored until this many targets are settled, because with fewer it depends on chance. */
const SETTLED_LEAST = 1000;

export interface SurveyProgress {
  /** Rows that are stored, or will be for certain. */
  readonly rows: number;
  /** Since its launch. */
  readonly elapsed: number;
  readonly settled: number;
  /** Settled targets whose reply is a success. */
  readonly hits: number;
}

/** The limit that is reached; empty if none is. */
export function limitReached(limits: SurveyLimits, progress: SurveyProgress): EndReason {
  const { maxResults, maxRuntime, minHitrate } = limits;
  const { rows, elapsed, settled, hits } = progress;
  if (maxResults > 0 && rows >= maxResults) return 'max-results';
  if (maxRuntime > 0 && elapsed >= maxRuntime) return 'max-runtime';
  const isLow = minHitrate > 0 && settled >= SETTLED_LEAST && (100 * hits) / settled < minHitrate;
  return isLow ? 'min-hitrate' : '';
}

/** True if any limit may end the survey early. */
export function hasEndingLimit({ maxResults, maxRuntime, minHitrate }: SurveyLimits): boolean {
  return maxResults > 0 || maxRuntime > 0 || minHitrate > 0;
}
