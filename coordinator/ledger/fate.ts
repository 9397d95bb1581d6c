/** What became of one target, from its place in the order and the reports about its shard. */
import { formatAddress } from '../../shared/net/ipv6.js';
import type { Target } from '../../shared/net/target.js';
import { type Exclusions, versionAt } from '../../shared/survey/exclusions.js';
import type { ShardReport } from '../../shared/survey/lease.js';
import { type Rules, whyLeftOut } from '../../shared/survey/rules.js';
import type { TargetFate } from '../../shared/survey/status.js';
import type { Report } from '../../shared/survey/survey.js';
import { UNSENT_WORDS, type UnsentName } from '../../shared/survey/unsent.js';

export interface Evidence {
  readonly position: number;
  readonly shard: number;
  /** Of the shard's epochs; undefined where nobody has leased it. */
  readonly reports: readonly ShardReport[] | undefined;
  readonly isStored: boolean;
  /** Why no probe of it left, as the journal says. */
  readonly unsent: UnsentName | undefined;
  /** The agent's own rule that held it back, where there is one. */
  readonly ownRule: string | undefined;
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
  if (evidence.unsent === undefined) {
    return { ...base, state: 'stored', ...who, result: unseen(evidence.report) };
  }
  const rule = whyUnsent(target, evidence, versionAt(owner.marks, position));
  return { ...base, rule, state: 'stored', ...who, result: evidence.unsent };
}

function whyUnsent(target: Target, evidence: Evidence, version: number): string {
  const { unsent, exclusions, ownRule } = evidence;
  if (unsent === undefined) return '';
  const exclusion = unsent === 'excluded' ? exclusions.rule(target, version) : undefined;
  if (exclusion === undefined) {
    return ownRule === undefined ? UNSENT_WORDS[unsent] : `${UNSENT_WORDS[unsent]}: ${ownRule}`;
  }
  const { version: since, prefix, reason } = exclusion;
  return `excluded by ${prefix}, version ${since} of the exclusions: ${reason}`;
}

function unseen(report: Report): string {
  return report === 'all' ? 'silent' : 'no success';
}
