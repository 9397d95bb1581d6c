/** "Did you probe this address, when, from where, with what result — or why not?" */
import type { SpaceStore } from '../../shared/bus/interfaces.js';
import type { Target } from '../../shared/net/target.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { ruleFor, rulesFromBytes } from '../../shared/survey/policy/block-rules.js';
import type { Exclusions } from '../../shared/survey/policy/exclusions.js';
import { refuseOtherBytes } from '../../shared/survey/space/space-bytes.js';
import type { LookupResult } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import { unsentAt } from '../../shared/survey/unsent-positions.js';
import type { SurveyFolder } from '../storage/survey-folder.js';
import { plannedResult, unplannedResult } from './lookup-result.js';

export interface LookupSources {
  readonly survey: Survey;
  readonly plan: Plan;
  /** The lease of a shard that is under way. */
  readonly leaseOf: (shard: number) => Lease | undefined;
  readonly surveyFolder: SurveyFolder;
  readonly exclusions: Exclusions;
  readonly spaces: SpaceStore;
}

/** From leases where the shard is under way, from journal and segments where it is stored. */
export async function lookupTarget(target: Target, sources: LookupSources): Promise<LookupResult> {
  const { survey, plan, leaseOf, surveyFolder, exclusions, spaces } = sources;
  const position = plan.positionOf(target);
  if (position < 0) {
    const rules = await spaces.get(survey.rulesHash);
    if (rules !== undefined) refuseOtherBytes(rules, survey.rulesHash, 'what was left out');
    return unplannedResult(target, rules && rulesFromBytes(rules));
  }
  const shard = Math.floor(position / plan.shardLength);
  const lease = leaseOf(shard);
  const entry = lease === undefined ? await surveyFolder.entryOf(shard) : undefined;
  const row = entry && (await surveyFolder.segments.rowAt(shard, position));
  const epochs = entry?.epochs ?? lease?.epochs;
  const { from, to } = plan.shard(shard);
  const unsent = unsentAt(entry?.unsent, position - from, to - from);
  const owner = epochs?.find((each) => each.from <= position && position < each.settledUpTo);
  const ownRule = unsent && owner && (await ownRuleOf(target, owner.rulesHash, spaces));
  const isStored = entry !== undefined;
  const known = { position, shard, epochs, isStored, row, unsent, ownRule };
  return plannedResult(target, { ...known, rows: survey.rows, exclusions });
}

/** The rule of the agent's own that held a target back, where it has put its rules on the shelf. */
async function ownRuleOf(
  target: Target,
  hash: string,
  spaces: SpaceStore,
): Promise<string | undefined> {
  const bytes = hash === '' ? undefined : await spaces.get(hash);
  if (bytes === undefined) return undefined;
  refuseOtherBytes(bytes, hash, 'the agent’s rules');
  return ruleFor(target, rulesFromBytes(bytes));
}
