/** The summary of a plan: everything known of a survey before a packet is sent. */
import { describePorts } from '../../shared/probe/describe-ports.js';
import { Plan, shardLengthFor } from '../../shared/survey/plan.js';
import { publicTargetIn } from '../../shared/survey/policy/special-purpose-policy.js';
import { formatCount, formatDuration, UNLIMITED } from '../../shared/survey/quantities.js';
import type { Composition, Tally } from '../../shared/survey/space/compose.js';
import type { SurveyRequest } from '../../shared/survey/survey.js';
import { estimate, FRAME_OCTETS_MIN, type FrameCost, frameCosts } from './estimate.js';
import { type Peaks, peaks } from './peak-rate.js';

/** The default rate of masscan: if a public /24 or /48 would receive more than this, the plan contains a warning. */
const GENTLE_PPS = 100;

export interface PlanSummary {
  readonly addresses: number;
  readonly targets: number;
  readonly ports: string;
  /** Names of the probes. */
  readonly probes: readonly string[];
  readonly probesPerTarget: number;
  /** One of so many shards of each agent is probed again; 0: none. */
  readonly crossCheckInterval: number;
  readonly frames: readonly FrameCost[];
  readonly shards: number;
  readonly shardLength: number;
  readonly rate: number;
  readonly durationMillis: number;
  readonly bitsPerSecond: number;
  readonly peaks: Peaks;
  readonly sources: readonly Tally[];
  readonly exclusions: readonly Tally[];
  readonly seed: string;
  readonly warnings: readonly string[];
  readonly hash: string;
}

export function summarizePlan(request: SurveyRequest, composition: Composition): PlanSummary {
  const { space, sources, exclusions } = composition;
  const { maxTargets } = request.limits;
  const shardLength = shardLengthFor(maxTargets, request.rate);
  const plan = new Plan(space, request.seed, shardLength, maxTargets, request.spaceHash);
  const { millis, bitsPerSecond } = estimate(request, space);
  const peak = peaks(space, request.rate * request.probesPerTarget);
  return {
    addresses: space.addresses,
    targets: plan.size,
    ports: describePorts(space.parts.ports, request.probes),
    probesPerTarget: request.probesPerTarget,
    crossCheckInterval: request.crossCheckInterval,
    probes: [...new Set(request.probes.map(({ name }) => name))],
    frames: frameCosts(request.probes, space),
    shards: plan.shardCount,
    shardLength: plan.shardLength,
    rate: request.rate,
    durationMillis: millis,
    bitsPerSecond,
    peaks: peak,
    sources,
    exclusions,
    seed: request.seed,
    warnings: publicTargetIn(space) === undefined ? [] : warningsOf(peak, request.rate),
    hash: plan.hash,
  };
}

/** The plan in a line or two. */
export function briefPlan(summary: PlanSummary): string {
  const { addresses, targets, shards, rate, durationMillis, bitsPerSecond, seed } = summary;
  const left = summary.exclusions.reduce((sum, tally) => sum + tally.addresses, 0);
  const notes = left > 0 ? `, ${formatCount(left)} addresses excluded` : '';
  return [
    `plan: ${formatCount(targets)} targets (${formatCount(addresses)} addresses${notes})`,
    `in ${formatCount(shards)} ${shards === 1 ? 'shard' : 'shards'};`,
    rate >= UNLIMITED
      ? 'as fast as agents can send;'
      : `about ${formatDuration(durationMillis)} at ${formatCount(rate)}/s (${formatBits(bitsPerSecond)});`,
    `seed ${seed}`,
    ...summary.warnings.map((warning) => `\nwarning: ${warning}`),
  ].join(' ');
}

function probesOf({ targets, probesPerTarget }: PlanSummary): string {
  const least = formatCount(targets);
  return probesPerTarget === 1 ? least : `${least} to ${formatCount(targets * probesPerTarget)}`;
}

function checksOf({ crossCheckInterval: interval }: PlanSummary): string {
  const share = (100 / interval).toPrecision(2);
  return `one shard of 1, 2, 4, … ${interval} of each agent once more, by another one: in the end ${share} %`;
}

/** Lines about probes whose frames are longer than the smallest one, or whose options are a trade-off. */
function frameLines(frames: readonly FrameCost[]): string[] {
  const lines = frames.map(({ probe, octets, tradeOff }) => {
    const fewer = Math.round((1 - FRAME_OCTETS_MIN / octets) * 100);
    const cost = fewer === 0 ? '' : `${octets} octets, so ${fewer} % fewer fit a link`;
    const notes = [cost, tradeOff].filter((text) => text !== '');
    return notes.length === 0 ? '' : `${probe}: ${notes.join('; ')}`;
  });
  return [...new Set(lines)].filter((line) => line !== '');
}

/** The plan in full. */
export function fullPlan(summary: PlanSummary): string {
  const { peaks: peak, durationMillis, bitsPerSecond, rate } = summary;
  const tallies = (title: string, list: readonly Tally[]) =>
    list.map(({ reason, addresses }, i) => [
      i === 0 ? title : '',
      `${formatCount(addresses)} by ${reason}`,
    ]);
  const seen = [
    peak.per24 > 0 ? `${formatRate(peak.per24)} into a /24` : '',
    peak.per16 > 0 ? `${formatRate(peak.per16)} into a /16` : '',
    peak.per48 > 0 ? `${formatRate(peak.per48)} into a /48` : '',
    peak.per64 > 0 ? `${formatRate(peak.per64)} into a /64` : '',
  ].filter((text) => text !== '');
  const lines = [
    ['targets', formatCount(summary.targets)],
    ['addresses', formatCount(summary.addresses)],
    ...tallies('requested', summary.sources),
    ...tallies('removed', summary.exclusions),
    ['ports', summary.ports || 'as listed'],
    ['probes', `${probesOf(summary)} of ${summary.probes.join(', ')}`],
    ...(summary.crossCheckInterval === 0 ? [] : [['checked', checksOf(summary)]]),
    ...frameLines(summary.frames).map((line, i) => [i === 0 ? 'frames' : '', line]),
    ['shards', `${formatCount(summary.shards)} of ${formatCount(summary.shardLength)} targets`],
    [
      'duration',
      rate >= UNLIMITED
        ? 'as fast as agents can send (-r 0)'
        : `${formatDuration(durationMillis)} at ${formatCount(rate)} probes/s`,
    ],
    ...(rate >= UNLIMITED
      ? []
      : [
          ['bandwidth', `${formatBits(bitsPerSecond)} on Ethernet, all overhead included`],
          ['at most', seen.join(', ')],
        ]),
    ['seed', summary.seed],
    ['hash', summary.hash],
    ...summary.warnings.map((warning) => ['WARNING', warning]),
  ];
  return lines.map(([name = '', text]) => `${name.padEnd(10)} ${text}`).join('\n');
}

function warningsOf({ per24, per48 }: Peaks, rate: number): string[] {
  const busiest = Math.max(per24, per48);
  if (busiest <= GENTLE_PPS) return [];
  const network = per24 >= per48 ? '/24' : '/48';
  const gentle = Math.max(1, Math.floor((rate * GENTLE_PPS) / busiest));
  const seen = formatCount(busiest);
  return [
    `a single ${network} would see ${seen} probes/s; at -r ${gentle} it would see ${GENTLE_PPS}`,
  ];
}

function formatRate(pps: number): string {
  return pps >= 10 ? `${formatCount(pps)}/s` : `${Number(pps.toPrecision(2))}/s`;
}

function formatBits(bits: number): string {
  if (bits >= 1e9) return `${(bits / 1e9).toFixed(2)} Gbit/s`;
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${(bits / 1e3).toFixed(1)} kbit/s`;
}
