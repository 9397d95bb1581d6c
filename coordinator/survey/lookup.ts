/**
 * Looks targets up: whether an address was probed and, if so, when, by whom and with what outcome; if not,
 * why. Answers come from leases while a shard is being probed, and from journal and segments once it is
 * stored.
 */
import type { SpaceStore } from '../../shared/bus/interfaces.js';
import type { Target } from '../../shared/net/endpoint.js';
import { formatAddress } from '../../shared/net/ipv6.js';
import type { FindingsLog } from '../../shared/survey/icmp-findings.js';
import type { EpochRecord, Lease } from '../../shared/survey/lease.js';
import { parseLookup } from '../../shared/survey/lookup-target.js';
import type { Plan } from '../../shared/survey/plan.js';
import { type Exclusions, versionAt } from '../../shared/survey/policy/exclusions.js';
import { reasonLeftOut, ruleFor, rulesFromBytes } from '../../shared/survey/policy/rule-lookup.js';
import { refuseOtherBytes } from '../../shared/survey/space/space-bytes.js';
import type { LookupResult } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import { UNSENT_WORDS, type UnsentName } from '../../shared/survey/unsent.js';
import { unsentAt } from '../../shared/survey/unsent-positions.js';
import type { SurveyFolder } from '../storage/survey-folder.js';

export interface LookupSources {
  readonly survey: Survey;
  readonly plan: Plan;
  /** The lease of a shard that is not stored yet. */
  readonly leaseOf: (shard: number) => Lease | undefined;
  readonly folder: SurveyFolder;
  readonly exclusions: Exclusions;
  readonly spaces: SpaceStore;
  /** Findings from ICMP errors so far. */
  readonly findings: FindingsLog;
}

const NOT_PROBED = { agent: '', vantage: '', from: 0, until: 0, outcome: '', remark: '' } as const;

/** @param text `ADDR` or `ADDR:PORT`; without a port, all ports of the survey @throws Fault BAD_OPTION */
export async function lookupTargets(
  text: string,
  sources: LookupSources,
): Promise<readonly LookupResult[]> {
  const targets = parseLookup(text, sources.plan.space.parts);
  return await Promise.all(targets.map((target) => lookupTarget(target, sources)));
}

async function lookupTarget(target: Target, sources: LookupSources): Promise<LookupResult> {
  const { plan, leaseOf, folder, survey } = sources;
  const { name: probe = '' } = survey.probes[target.probe] ?? {};
  const named = { address: formatAddress(target), port: target.port, probe };
  const position = plan.positionOf(target);
  if (position < 0) {
    const rule = await ruleOfUnplanned(target, sources);
    const nowhere = { position: 0, shard: 0, ...NOT_PROBED };
    return { ...named, planned: false, rule, state: 'unplanned', ...nowhere };
  }
  const shard = Math.floor(position / plan.shardLength);
  const planned = { ...named, planned: true, rule: '', position, shard };
  const lease = leaseOf(shard);
  const entry = lease === undefined ? await folder.entryOf(shard) : undefined;
  const epochs = entry?.epochs ?? lease?.epochs;
  if (epochs === undefined) return { ...planned, state: 'waiting', ...NOT_PROBED };
  // A position belongs to the epoch that settled it. Until one has, the last epoch that sent a probe for
  // it counts.
  const owner = epochs.find(({ from, settledUpTo }) => from <= position && position < settledUpTo);
  const prober =
    owner ?? epochs.findLast(({ from, sentUpTo }) => from <= position && position < sentUpTo);
  if (prober === undefined) return { ...planned, state: 'leased', ...NOT_PROBED };
  const { agent, vantage, startedAt, updatedAt } = prober;
  const probed = { ...planned, agent, vantage, from: startedAt, until: updatedAt, remark: '' };
  if (entry === undefined || owner === undefined)
    return { ...probed, state: 'probed', outcome: '' };
  const stored = { ...probed, state: 'stored' as const };
  const row = await folder.segments.rowAt(shard, position);
  if (row !== undefined) return { ...stored, outcome: row };
  const unsent = unsentAt(entry.unsent, position - entry.from, entry.to - entry.from);
  if (unsent !== undefined) {
    const rule = await ruleOfUnsent(target, position, { unsent, owner }, sources);
    return { ...stored, rule, outcome: unsent };
  }
  const outcome = survey.rows === 'all' ? 'silent' : 'no success';
  return { ...stored, outcome, remark: remarkOnSilence(target, sources.findings) };
}

/**
 * A remark for a silent target that is subject to a rate limit of ICMP errors, because an error that the
 * limit has kept back looks like silence; empty if no such limit is known.
 */
function remarkOnSilence(target: Target, findings: FindingsLog): string {
  const limited = findings.limitOn(target);
  return limited === undefined
    ? ''
    : `${limited} limits the rate of its ICMP errors, so a target that is closed may be silent`;
}

async function ruleOfUnplanned(target: Target, sources: LookupSources): Promise<string> {
  const { survey, spaces, plan } = sources;
  if (plan.space.indexOf(target) >= 0) return 'beyond the limit on targets (--max-targets)';
  const bytes = await spaces.get(survey.rulesHash);
  if (bytes === undefined) return 'not among the targets';
  refuseOtherBytes(bytes, survey.rulesHash, 'the survey’s exclusion rules');
  return reasonLeftOut(target, rulesFromBytes(bytes));
}

/** The reason why an agent sent no probe to a target, with the rule that it applied if that rule is known. */
async function ruleOfUnsent(
  target: Target,
  position: number,
  { unsent, owner }: { readonly unsent: UnsentName; readonly owner: EpochRecord },
  { exclusions, spaces }: LookupSources,
): Promise<string> {
  const version = versionAt(owner.versionSpans, position);
  // A deferred target may have been excluded after the positions around it were checked, so the latest
  // version is tried, too.
  const exclusion =
    unsent === 'excluded'
      ? (exclusions.rule(target, version) ?? exclusions.rule(target, exclusions.version))
      : undefined;
  if (exclusion !== undefined) {
    const { version: since, prefix, reason } = exclusion;
    return `excluded by ${prefix}, version ${since} of the exclusions: ${reason}`;
  }
  const bytes = owner.rulesHash === '' ? undefined : await spaces.get(owner.rulesHash);
  if (bytes === undefined) return UNSENT_WORDS[unsent];
  refuseOtherBytes(bytes, owner.rulesHash, 'the agent’s blocklist rules');
  const rule = ruleFor(target, rulesFromBytes(bytes));
  return rule === undefined ? UNSENT_WORDS[unsent] : `${UNSENT_WORDS[unsent]}: ${rule}`;
}
