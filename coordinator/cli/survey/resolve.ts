/** Resolves a draft to a survey request: defaults, target space, rate caps, hashes. */
import type { Millis, Pps } from '../../../shared/base/brand.js';
import { shortId, systemRandom } from '../../../shared/base/random.js';
import { type ProbeChoice, ProbeSet } from '../../../shared/probe/probe-set.js';
import { rulesToBytes } from '../../../shared/survey/policy/block-rules.js';
import { formatCount } from '../../../shared/survey/quantities.js';
import { AliasTests } from '../../../shared/survey/space/alias-tests.js';
import { type Composition, compose } from '../../../shared/survey/space/compose.js';
import type { Space } from '../../../shared/survey/space/space.js';
import { hashSpace, spaceToBytes } from '../../../shared/survey/space/space-bytes.js';
import type { SurveyRequest } from '../../../shared/survey/survey.js';
import { rateOfBandwidth } from '../../plan/estimate.js';
import { peaks, UNLISTED_PER_64_MAX, unlistedPer64 } from '../../plan/peak-rate.js';
import { printNote } from '../output/print.js';

import { refuseIncomplete, type SurveyDraft } from './draft.js';
import type { TargetLimit } from './limit-options.js';
import { resolveProbes } from './probe-ports.js';

export interface ResolvedSurvey {
  readonly request: SurveyRequest;
  readonly composition: Composition;
  readonly space: Space;
  /** The canonical bytes of the space, from which its hash is computed. */
  readonly bytes: Uint8Array;
  /** The exclusion rules, for lookups. */
  readonly rules: Uint8Array;
}

const DEFAULT_RATE = 1000 as Pps;
const DEFAULT_COOLDOWN = 8000 as Millis;
export const DEFAULT_OUTPUT = 'parquet';
const SEED_LETTERS = 12;
/** The subnet of a link (RFC 7421). */
const DEFAULT_ALIAS_LENGTH = 64;

/** @throws Fault BAD_OPTION, SPECIAL_TARGETS, EMPTY_SPACE or SPACE_TOO_LARGE */
export function resolveDraft(draft: SurveyDraft): ResolvedSurvey {
  refuseIncomplete(draft);
  const { targets, hitlists, allowSpecial, exclusions } = draft;
  const { pairs } = draft;
  const { probes, ports } = resolveProbes(draft.ports ?? [], draft.probe ?? [], pairs);
  const seed = draft.seed ?? shortId(systemRandom, SEED_LETTERS);
  for (const list of targets) list.seedWindows(seed);
  const { detectAliases = draft.aliasLengths !== undefined } = draft;
  const aliasLengths = detectAliases ? (draft.aliasLengths ?? [DEFAULT_ALIAS_LENGTH]) : [];
  const aliasTests = aliasLengths.length > 0 ? new AliasTests(seed, aliasLengths) : undefined;
  const lists = { targets, hitlists, pairs, exclusions, allowSpecial, ports, aliasTests };
  const composition = compose(lists);
  const { space } = composition;
  const bytes = spaceToBytes(space, seed);
  const allowed = allowSpecial.flatMap(({ texts }) => texts);
  const rules = rulesToBytes(exclusions, allowed);
  const request: SurveyRequest = {
    name: draft.name ?? '',
    probes,
    probesPerTarget: draft.probes ?? 1,
    aliasLengths: aliasTests?.lengths ?? [],
    crossCheckInterval: draft.crossCheck ?? 0,
    limits: {
      maxTargets: targetsOf(space, draft.maxTargets),
      maxResults: draft.maxResults ?? 0,
      maxRuntime: draft.maxRuntime ?? (0 as Millis),
      minHitrate: draft.minHitrate ?? 0,
    },
    rate: cappedRate(composition, rateOf(draft, probes, space), draft),
    cooldown: draft.cooldown ?? DEFAULT_COOLDOWN,
    seed,
    rows: draft.rows ?? (new ProbeSet(probes).allHaveSuccess ? 'successes' : 'all'),
    segmentFormat: draft.segmentFormat ?? DEFAULT_OUTPUT,
    contact: draft.contact ?? '',
    purpose: draft.purpose ?? '',
    allowSpecial: allowed,
    authorization: '',
    signature: '',
    spaceHash: hashSpace(bytes),
    rulesHash: hashSpace(rules),
  };
  return { request, composition, space, bytes, rules };
}

function targetsOf({ size }: Space, limit: TargetLimit | undefined): number {
  if (limit === undefined) return size;
  const wanted = 'count' in limit ? limit.count : Math.floor((size * limit.percent) / 100);
  return Math.max(1, Math.min(size, wanted));
}

function rateOf(
  { rate, bandwidth }: SurveyDraft,
  probes: readonly ProbeChoice[],
  space: Space,
): Pps {
  if (bandwidth !== undefined) return rateOfBandwidth(bandwidth, probes, space) as Pps;
  return rate ?? DEFAULT_RATE;
}

/** The requested rate, or less if a network would see more than the survey allows. */
function cappedRate({ space, tests }: Composition, rate: Pps, draft: SurveyDraft): Pps {
  // A network whose hosts are silent receives all probes of a target, while the rate is shared by all networks.
  const most = rate * (draft.probes ?? 1);
  const { per24, per48, per64 } = peaks(space, most);
  const factor = Math.min(
    1,
    capFactor(per24, draft.maxRatePer24),
    capFactor(per48, draft.maxRatePer48),
    capFactor(per64, draft.maxRatePer64),
  );
  const isCapped = draft.maxRatePer64 !== undefined;
  const discovery = isCapped
    ? 1
    : capFactor(unlistedPer64(space, tests, most), UNLISTED_PER_64_MAX as Pps);
  const slowed = rate * Math.min(factor, discovery);
  if (discovery < factor) {
    const reason = `at most ${UNLISTED_PER_64_MAX}/s go to unlisted addresses of a /64, which its router solicits`;
    printNote(`slowed to ${formatCount(slowed)}/s: ${reason} (see --max-rate-per-64)`);
  } else if (factor < 1) {
    printNote(`slowed to ${formatCount(slowed)}/s by the rate cap per network`);
  }
  return slowed as Pps;
}

/** The factor by which the rate must shrink for a network that would see `peak` packets per second. */
function capFactor(peak: number, cap: Pps | undefined): number {
  return cap === undefined || peak === 0 ? 1 : cap / peak;
}
