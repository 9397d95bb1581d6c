/** A survey as given by flags and files, before defaults: merged from several sources. */
import type { Millis, Pps } from '../../../shared/base/brand.js';
import { Fault } from '../../../shared/base/faults.js';
import type { RecordColumn } from '../../../shared/net/record-column.js';
import { probeNamed } from '../../../shared/probe/probe-registry.js';
import type { ProbeChoice } from '../../../shared/probe/probe-set.js';
import type { Hitlist } from '../../../shared/survey/lists/hitlist.js';
import type { RuleList } from '../../../shared/survey/lists/rule-list.js';
import type { TargetList } from '../../../shared/survey/lists/target-list.js';
import type { RowPolicy } from '../../../shared/survey/survey.js';
import type { TargetLimit } from './limit-options.js';
import type { PortEntry } from './probe-ports.js';

export interface SurveyDraft {
  readonly targets: readonly TargetList[];
  readonly hitlists: readonly Hitlist[];
  /** Records of `PAIR_WORDS` words. */
  readonly pairs: readonly RecordColumn[];
  readonly exclusions: readonly RuleList[];
  readonly allowSpecial: readonly RuleList[];
  readonly name?: string | undefined;
  readonly ports?: readonly PortEntry[] | undefined;
  /** Ports given without a probe are those of the first probe. */
  readonly probe?: readonly ProbeChoice[] | undefined;
  readonly probes?: number | undefined;
  readonly detectAliases?: boolean | undefined;
  readonly aliasLengths?: readonly number[] | undefined;
  readonly crossCheck?: number | undefined;
  readonly maxTargets?: TargetLimit | undefined;
  readonly maxResults?: number | undefined;
  readonly maxRuntime?: Millis | undefined;
  readonly minHitrate?: number | undefined;
  readonly rate?: Pps | undefined;
  readonly bandwidth?: number | undefined;
  readonly cooldown?: Millis | undefined;
  readonly seed?: string | undefined;
  readonly rows?: RowPolicy | undefined;
  readonly segmentFormat?: string | undefined;
  readonly contact?: string | undefined;
  readonly purpose?: string | undefined;
  readonly maxRatePer24?: Pps | undefined;
  readonly maxRatePer48?: Pps | undefined;
  readonly maxRatePer64?: Pps | undefined;
}

/** Merges two drafts: values of the second replace those of the first, lists are joined. */
export function mergeDrafts(first: SurveyDraft, second: SurveyDraft): SurveyDraft {
  const given = Object.fromEntries(
    Object.entries(second).filter(([, value]) => value !== undefined),
  );
  return {
    ...first,
    ...given,
    targets: [...first.targets, ...second.targets],
    hitlists: [...first.hitlists, ...second.hitlists],
    pairs: [...first.pairs, ...second.pairs],
    exclusions: [...first.exclusions, ...second.exclusions],
    allowSpecial: [...first.allowSpecial, ...second.allowSpecial],
  };
}

/** @throws Fault BAD_OPTION if targets or ports are missing */
export function refuseIncomplete(draft: SurveyDraft): void {
  const { targets, hitlists, ports = [], probe = [] } = draft;
  const needsPorts = probe[0] === undefined || probeNamed(probe[0].name).hasPorts;
  const hasAddresses = targets.some((list) => !list.isEmpty) || hitlists.some(isFilled);
  if (!hasAddresses && !draft.pairs.some(isFilled)) {
    const reason = 'name at least one target, such as 198.18.0.0/15';
    throw new Fault('BAD_OPTION', reason, { flag: 'TARGETS' });
  }
  if (hasAddresses && ports.length === 0 && needsPorts) {
    throw new Fault('BAD_OPTION', 'name the ports, such as -p 443', { flag: '--ports' });
  }
}

function isFilled({ size }: { readonly size: number }): boolean {
  return size > 0;
}
