/** A survey as given by flags and files, before defaults: merged from several sources. */
import type { Millis, Pps } from '../../../shared/base/brand.js';
import { Fault } from '../../../shared/base/faults.js';
import type { Target } from '../../../shared/net/endpoint.js';
import type { Port } from '../../../shared/net/ports.js';
import type { ProbeOptions } from '../../../shared/probe/probe.js';
import type { BlockEntry } from '../../../shared/survey/policy/blocklist.js';
import type { RowPolicy } from '../../../shared/survey/survey.js';
import type { TargetEntry } from '../../../shared/survey/target-list.js';

export interface SurveyDraft {
  readonly targets: readonly TargetEntry[];
  readonly hitlist: readonly Target[];
  readonly pairs: readonly Target[];
  readonly exclusions: readonly BlockEntry[];
  readonly allowSpecial: readonly BlockEntry[];
  readonly name?: string | undefined;
  readonly ports?: readonly Port[] | undefined;
  readonly probe?: string | undefined;
  readonly probeOptions?: ProbeOptions | undefined;
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
    hitlist: [...first.hitlist, ...second.hitlist],
    pairs: [...first.pairs, ...second.pairs],
    exclusions: [...first.exclusions, ...second.exclusions],
    allowSpecial: [...first.allowSpecial, ...second.allowSpecial],
  };
}

/** @throws Fault BAD_OPTION if targets or ports are missing */
export function refuseIncomplete({ targets, hitlist, pairs, ports = [] }: SurveyDraft): void {
  const hasAddresses = targets.length + hitlist.length > 0;
  if (!hasAddresses && pairs.length === 0) {
    const reason = 'name at least one target, such as 198.18.0.0/15';
    throw new Fault('BAD_OPTION', reason, { flag: 'TARGETS' });
  }
  if (hasAddresses && ports.length === 0) {
    throw new Fault('BAD_OPTION', 'name the ports, such as -p 443', { flag: '--ports' });
  }
}
