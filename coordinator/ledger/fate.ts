/** What became of one target, from its place in the order and the reports about its shard. */
import { formatAddress } from '../../shared/net/ipv6.js';
import type { Target } from '../../shared/net/target.js';
import { type Exclusions, versionAt } from '../../shared/survey/exclusions.js';
import type { ShardReport } from '../../shared/survey/lease.js';
import { type Rules, whyLeftOut } from '../../shared/survey/rules.js';
import type { TargetFate } from '../../shared/survey/status.js';
import type { Report } from '../../shared/survey/survey.js';

export interface Evidence {
  readonly position: number;
  readonly shard: number;
  /** Of the shard's epochs; undefined where nobody has leased it. */
  readonly reports: readonly ShardReport[] | undefined;
  readonly isStored: boolean;
  /** The classification of its stored row, where it has one. */
  readonly row: string | undefined;
  /** Which classes have rows at all. */
  readonly report: Report;
  readonly exclusions: Exclusions;
}

const NOBODY = { agent: '', vantage: '', from: 0, until: 0, result: '' };

/** A target that the space does not hold. */
export function unplannedFate(target: Target, rules: Rules | undefined): TargetFate {
  const rule = rules === undefined ? 'not among the targets' : whyLeftOut(target, rules);
  const place = { planned: false, rule, position: 0, shard: 0, state: 'unplanned' as const };
  return { address: formatAddress(target), port: target.port, ...place, ...NOBODY };
}

export function plannedFate(target: Target, evidence: Evidence): TargetFate {
  const { position, shard, reports, isStored } = evidence;
  const planned = { planned: true, rule: '', position, shard };
  const base = { address: formatAddress(target), port: target.port, ...planned };
  if (reports === undefined) return { ...base, state: 'waiting', ...NOBODY };
  // The epoch that owns a position settled it; before that, the last one that came so far sent it.
  const owner = reports.find(({ from, settled }) => from <= position && position < settled);
  const prober = owner ?? reports.findLast(({ from, sent }) => from <= position && position < sent);
  if (prober === undefined) return { ...base, state: 'leased', ...NOBODY };
  const { agent, vantage, startedAt, updatedAt } = prober;
  const who = { agent, vantage, from: startedAt, until: updatedAt };
  if (!isStored || owner === undefined) return { ...base, state: 'probed', ...who, result: '' };
  if (evidence.row !== undefined) return { ...base, state: 'stored', ...who, result: evidence.row };
  const exclusion = evidence.exclusions.rule(target, versionAt(owner.marks, position));
  if (exclusion === undefined) {
    return { ...base, state: 'stored', ...who, result: unseen(evidence.report) };
  }
  const { version, prefix, reason } = exclusion;
  const rule = `excluded by ${prefix}, version ${version} of the exclusions: ${reason}`;
  return { ...base, rule, state: 'stored', ...who, result: 'excluded' };
}

function unseen(report: Report): string {
  return report === 'all' ? 'silent' : 'no success';
}
