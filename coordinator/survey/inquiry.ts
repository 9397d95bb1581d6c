/** "Did you probe this address, when, from where, with what result — or why not?" */
import type { SpaceShelf } from '../../shared/bus/ports.js';
import type { Target } from '../../shared/net/target.js';
import type { Exclusions } from '../../shared/survey/exclusions.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { ruleFor, rulesFromBytes } from '../../shared/survey/rules.js';
import { refuseOtherBytes } from '../../shared/survey/space/space-bytes.js';
import type { TargetFate } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import { unsentAt } from '../../shared/survey/unsent-positions.js';
import { plannedFate, unplannedFate } from '../ledger/fate.js';
import type { Vault } from '../vault.js';

export interface Inquiry {
  readonly survey: Survey;
  readonly plan: Plan;
  /** The lease of a shard that is under way. */
  readonly leaseOf: (shard: number) => Lease | undefined;
  readonly vault: Vault;
  readonly exclusions: Exclusions;
  readonly spaces: SpaceShelf;
}

/** From leases where the shard is under way, from journal and segments where it is stored. */
export async function fateOf(target: Target, inquiry: Inquiry): Promise<TargetFate> {
  const { survey, plan, leaseOf, vault, exclusions, spaces } = inquiry;
  const position = plan.positionOf(target);
  if (position < 0) {
    const rules = await spaces.get(survey.rulesHash);
    if (rules !== undefined) refuseOtherBytes(rules, survey.rulesHash, 'what was left out');
    return unplannedFate(target, rules && rulesFromBytes(rules));
  }
  const shard = Math.floor(position / plan.shardLength);
  const lease = leaseOf(shard);
  const entry = lease === undefined ? await vault.entryOf(shard) : undefined;
  const row = entry && (await vault.segments.rowAt(shard, position));
  const reports = entry?.reports ?? lease?.reports;
  const { from, to } = plan.shard(shard);
  const unsent = unsentAt(entry?.unsent, position - from, to - from);
  const owner = reports?.find((each) => each.from <= position && position < each.settled);
  const ownRule = unsent && owner && (await ownRuleOf(target, owner.rulesHash, spaces));
  const isStored = entry !== undefined;
  const known = { position, shard, reports, isStored, row, unsent, ownRule };
  return plannedFate(target, { ...known, report: survey.report, exclusions });
}

/** The rule of the agent's own that held a target back, where it has put its rules on the shelf. */
async function ownRuleOf(
  target: Target,
  hash: string,
  spaces: SpaceShelf,
): Promise<string | undefined> {
  const bytes = hash === '' ? undefined : await spaces.get(hash);
  if (bytes === undefined) return undefined;
  refuseOtherBytes(bytes, hash, 'the agent’s rules');
  return ruleFor(target, rulesFromBytes(bytes));
}
