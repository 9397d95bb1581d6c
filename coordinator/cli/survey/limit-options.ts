/** Options that limit a survey, parsed. */
import { Fault } from '../../../shared/base/faults.js';
import { LIMITS } from '../../../shared/base/limits.js';
import { option } from '../../../shared/command/program.js';
import { parseCount, parseDuration } from '../../../shared/survey/quantities.js';

const CROSS_CHECK_MAX = 65_536;

/** The options that set the `SurveyLimits`. */
export function limitOptions() {
  return [
    option(
      '-n, --max-targets <n>',
      'probe only the first n targets of the probing order, or n%',
      parseTargetLimit,
    ),
    option('-N, --max-results <n>', 'end the survey once it has this many rows', parseCount),
    option('-t, --max-runtime <time>', 'end the survey this long after its launch', parseDuration),
    option(
      '--min-hitrate <percent>',
      'end the survey if less than this percentage of the targets answers with success',
      parsePercent,
    ),
  ];
}

/** A number of targets, or a share of them. */
export type TargetLimit = { readonly count: number } | { readonly percent: number };

/** Reads `1000`, `20k` or `10%`. @throws Fault BAD_OPTION */
export function parseTargetLimit(text: string): TargetLimit {
  if (!text.trim().endsWith('%')) return { count: parseCount(text) };
  return { percent: parsePercent(text.trim().slice(0, -1)) };
}

/** Above 0, at most 100. @throws Fault BAD_OPTION */
export function parsePercent(text: string): number {
  const percent = Number(text);
  if (/^\d+(\.\d+)?$/.test(text.trim()) && percent > 0 && percent <= 100) return percent;
  throw new Fault('BAD_OPTION', 'must be a percentage above 0 and at most 100', { value: text });
}

/** Probes per target: 1 … 10. */
export function parseProbesPerTarget(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= LIMITS.probesPerTargetMax) return count;
  const reason = `must be a whole number from 1 to ${LIMITS.probesPerTargetMax}`;
  throw new Fault('BAD_OPTION', reason, { value: text });
}

/** One shard of so many: 1 … 65,536. @throws Fault BAD_OPTION */
export function parseCrossCheck(text: string): number {
  const interval = Number(text);
  if (/^\d+$/.test(text) && interval >= 1 && interval <= CROSS_CHECK_MAX) return interval;
  const reason = `must be a whole number from 1 to ${CROSS_CHECK_MAX}, such as 64: one of 64 shards`;
  throw new Fault('BAD_OPTION', reason, { value: text });
}

/** Reads `true` or `false`, as in YAML. @throws Fault BAD_OPTION */
export function parseYesOrNo(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new Fault('BAD_OPTION', 'must be true or false', { value: text });
}
