/**
 * What a survey leaves behind beside its rows: the question, the plan, what is complete and what is
 * not. Written at the end, whole; a survey without one has not ended.
 */
import { join } from 'node:path';
import { isoTime } from '../../shared/base/clock.js';
import type { Disk } from '../../shared/base/disk.js';
import type { Equipment } from '../../shared/bus/ports.js';
import { formatPorts } from '../../shared/net/ports.js';
import { formatRange } from '../../shared/net/prefix.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { alarmingDrops, type SurveyStatus } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';

/** Ranges listed in a manifest; a survey of a long list names their count and hash only. */
const RANGES_LISTED_MAX = 1000;

export interface ShardOutcome {
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  /** Positions [from, covered) are stored. */
  readonly covered: number;
  readonly rows: number;
  readonly reports: Lease['reports'];
}

export interface ManifestParts {
  readonly survey: Survey;
  readonly plan: Plan;
  readonly status: SurveyStatus;
  readonly outcomes: readonly ShardOutcome[];
  readonly output: { readonly module: string; readonly folder: string };
  readonly version: string;
  readonly equipmentOf: (agent: string) => Equipment | undefined;
}

/** Writes `ledger.ndjson`, then `manifest.json`, each whole. @throws Fault UNWRITABLE */
export async function writeManifest(
  disk: Disk,
  folder: string,
  parts: ManifestParts,
): Promise<string> {
  await disk.writeWhole(join(folder, 'ledger.ndjson'), ledgerLines(parts.outcomes));
  const file = join(folder, 'manifest.json');
  await disk.writeWhole(file, [`${JSON.stringify(manifestOf(parts), null, 2)}\n`]);
  return file;
}

/** What `writeManifest` wrote of the shards; nothing where it did not. */
export async function readOutcomes(disk: Disk, folder: string): Promise<readonly ShardOutcome[]> {
  const bytes = await disk.read(join(folder, 'ledger.ndjson'));
  const lines = (bytes?.toString() ?? '').split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as ShardOutcome);
}

function manifestOf(parts: ManifestParts): object {
  const { survey, plan, status, outcomes, output, version } = parts;
  const { space } = plan;
  const { ipv4, windows, hitlist, pairs, ports } = space.parts;
  const ranges = [...ipv4].slice(0, RANGES_LISTED_MAX).map(formatRange);
  const incomplete = outcomes.filter(({ covered, to }) => covered < to);
  return {
    transect: version,
    survey: survey.id,
    name: survey.name,
    state: status.state,
    complete: status.covered === status.targets,
    question: {
      ranges: ipv4.count > RANGES_LISTED_MAX ? undefined : ranges,
      rangeCount: ipv4.count,
      windows: windows.map(({ text }) => text),
      listedAddresses: hitlist.size,
      listedPairs: pairs.size,
      addresses: space.addresses,
      ports: formatPorts(ports),
      probe: survey.probe,
      probeOptions: survey.probeOptions,
      rate: survey.rate,
      cooldownMillis: survey.cooldown,
      seed: survey.seed,
      report: survey.report,
      allowSpecial: survey.allowSpecial,
      contact: survey.contact,
      purpose: survey.purpose,
    },
    plan: {
      hash: plan.hash,
      spaceHash: survey.spaceHash,
      targets: plan.size,
      shards: plan.shardCount,
      shardLength: plan.shardLength,
    },
    counts: {
      sent: status.sent,
      covered: status.covered,
      excluded: status.excluded,
      lost: status.lost,
      synack: status.synack,
      rst: status.rst,
      icmp: status.icmp,
      rows: status.rows,
      framesReceived: status.received,
      captureDrops: status.dropped,
      captureDropsAlarming: alarmingDrops(status) > 0,
    },
    startedAt: isoTime(status.startedAt),
    endedAt: isoTime(status.endedAt),
    output,
    agents: agentsOf(parts),
    shardsStored: outcomes.length,
    shardsIncomplete: incomplete.map(({ shard, from, to, covered }) => ({
      shard,
      from,
      to,
      covered,
    })),
  };
}

/** Probes, positions and equipment by agent, in order of their names. */
function agentsOf({ outcomes, equipmentOf }: ManifestParts): object[] {
  const agents = new Map<string, { vantage: string; sent: number; settled: number }>();
  for (const report of outcomes.flatMap(({ reports }) => reports)) {
    const sums = agents.get(report.agent) ?? { vantage: report.vantage, sent: 0, settled: 0 };
    sums.sent += report.sent - report.from - report.lost - report.excluded;
    sums.settled += report.settled - report.from;
    agents.set(report.agent, sums);
  }
  return [...agents]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([agent, sums]) => ({ agent, ...sums, ...equipmentOf(agent) }));
}

function* ledgerLines(outcomes: readonly ShardOutcome[]): Generator<string> {
  for (const outcome of outcomes) yield `${JSON.stringify(outcome)}\n`;
}
