/**
 * The manifest of a survey: the survey, its plan, and its completeness. It is written as a whole when the
 * survey ends, so a survey without a manifest has not ended.
 */
import { join } from 'node:path';
import { isoTime } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import type { IoStats } from '../../shared/bus/heartbeat.js';
import type { Disk } from '../../shared/host/disk.js';
import { formatRange } from '../../shared/net/prefix.js';
import { describePorts } from '../../shared/probe/describe-ports.js';
import { FindingsLog, type IcmpFindings, NO_FINDINGS } from '../../shared/survey/icmp-findings.js';
import type { Plan } from '../../shared/survey/plan.js';
import { alarmingDrops, type SurveyStatus, silentOf } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import { noneUnsent, UNSENT_NAMES } from '../../shared/survey/unsent.js';
import { digestOf, type FileDigest } from './file-digest.js';
import {
  JOURNAL_FILE,
  MANIFEST_FILE,
  RULES_FILE,
  SIGNATURE_FILE,
  SPACE_FILE,
  SURVEY_FILE,
} from './folder-layout.js';
import { formatSignature, type SigningKey } from './signing-key.js';

/** A manifest lists at most this many ranges; if there are more, it gives only their count and hash. */
const RANGES_LISTED_MAX = 1000;

/** A shard of positions [from, to), of which [from, coveredUpTo) are stored. */
interface Part {
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  readonly coveredUpTo: number;
}

export interface CrossCheckSummary {
  /** Shards that another agent has probed again. */
  readonly checks: number;
  /** Shards that were stored although no other agent has confirmed them. */
  readonly unconfirmed: number;
  /** Positions that answered to one of both agents, and to both alike; without agents that were caught. */
  readonly seen: number;
  readonly agreed: number;
  /** Agents that were caught, with the reason. */
  readonly distrusted: Readonly<Record<string, string>>;
}

export interface ManifestContent {
  readonly survey: Survey;
  readonly plan: Plan;
  readonly status: SurveyStatus;
  readonly agents: ReadonlyMap<
    string,
    { readonly vantage: string; readonly probesSent: number; readonly targetsSettled: number }
  >;
  readonly incomplete: readonly Part[];
  readonly findings: IcmpFindings;
  /** The cross-checks that were done: answered positions of both agents, and those about which both agree. */
  readonly crossChecks: CrossCheckSummary;
  readonly version: string;
  readonly ioStatsOf: (agent: string) => IoStats | undefined;
}

/** The parts of a manifest that the shard table does not have. */
export type ManifestFacts = Omit<ManifestContent, 'plan' | 'agents' | 'incomplete' | 'findings'>;

/** Files whose digests the manifest has. Those of segments are in the journal. */
const DIGESTED = [SURVEY_FILE, SPACE_FILE, RULES_FILE, JOURNAL_FILE] as const;

export interface ManifestPlace {
  readonly disk: Disk;
  /** The survey's folder. */
  readonly path: string;
  readonly signingKey: SigningKey;
}

/** Writes the manifest and its signature, once nothing else will be written. @throws Fault UNWRITABLE */
export async function writeManifest(
  { disk, path, signingKey }: ManifestPlace,
  parts: ManifestContent,
): Promise<void> {
  const files: Record<string, FileDigest> = {};
  for (const file of DIGESTED) files[file] = await digestOf(disk, join(path, file));
  const content = `${JSON.stringify({ ...manifestOf(parts), files }, null, 2)}\n`;
  const signature = await signingKey.sign('manifest', content);
  // A manifest says that the survey is over, so its signature comes first.
  await disk.writeWhole(join(path, SIGNATURE_FILE), [formatSignature(signature)]);
  await disk.writeWhole(join(path, MANIFEST_FILE), [content]);
}

/** The parts of a manifest that a coordinator still needs once the survey has ended. */
export interface ManifestSummary {
  readonly status: SurveyStatus;
  readonly findings: FindingsLog;
}

/** Undefined if there is no manifest. @throws Fault UNWRITABLE or BAD_MESSAGE */
export async function readManifest(
  disk: Disk,
  folder: string,
): Promise<ManifestSummary | undefined> {
  const file = join(folder, MANIFEST_FILE);
  const bytes = await disk.read(file);
  if (bytes === undefined) return undefined;
  try {
    const manifest = JSON.parse(bytes.toString()) as ManifestSummary & { findings: IcmpFindings };
    const findings = new FindingsLog();
    findings.add({ ...NO_FINDINGS, ...manifest.findings });
    // Manifests of earlier versions have no findings.
    const none = { ...findings.summary, ...noneUnsent(), otherPort: 0, otherAddress: 0 };
    const status = { ...none, ...manifest.status };
    return { status, findings };
  } catch (cause) {
    throw new Fault('BAD_MESSAGE', 'the file is not a manifest', { file }, cause);
  }
}

function manifestOf(content: ManifestContent): object {
  const { survey, plan, status, incomplete, version } = content;
  const { space } = plan;
  const { ipv4, windows, hitlist, pairs, ports } = space.parts;
  const ranges = [...ipv4].slice(0, RANGES_LISTED_MAX).map(formatRange);
  return {
    transect: version,
    survey: survey.id,
    name: survey.name,
    state: status.state,
    complete: status.targetsCovered === status.targets,
    endedBy: survey.endReason || undefined,
    request: {
      ranges: ipv4.count > RANGES_LISTED_MAX ? undefined : ranges,
      rangeCount: ipv4.count,
      windows: windows.map(({ text }) => text),
      listedAddresses: hitlist.size,
      listedPairs: pairs.size,
      addresses: space.addresses,
      ports: describePorts(ports, survey.probes),
      probes: survey.probes,
      probesPerTarget: survey.probesPerTarget,
      aliasLengths: survey.aliasLengths,
      crossCheckInterval: survey.crossCheckInterval,
      limits: survey.limits,
      rate: survey.rate,
      cooldownMillis: survey.cooldown,
      seed: survey.seed,
      rows: survey.rows,
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
      probesSent: status.probesSent,
      targetsCovered: status.targetsCovered,
      replied: status.replied,
      silent: silentOf(status),
      ...Object.fromEntries(UNSENT_NAMES.map((name) => [name, status[name]])),
      batchesSetAside: status.batchesSetAside,
      otherPort: status.otherPort,
      otherAddress: status.otherAddress,
      rowsStored: status.rowsStored,
      framesReceived: status.framesReceived,
      framesDropped: status.framesDropped,
      isDropShareAlarming: alarmingDrops(status) > 0,
    },
    findings: content.findings,
    ...(survey.crossCheckInterval > 0 && { crossChecks: content.crossChecks }),
    startedAt: isoTime(status.startedAt),
    endedAt: isoTime(status.endedAt),
    segmentFormat: survey.segmentFormat,
    agents: agentsOf(content),
    shardsStored: status.shardsStored,
    shardsIncomplete: incomplete,
    status,
  };
}

/** Probes, positions and I/O statistics by agent, in order of their names. */
function agentsOf({ agents, ioStatsOf }: ManifestContent): object[] {
  return [...agents]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([agent, { vantage, probesSent, targetsSettled }]) => ({
      agent,
      vantage,
      probesSent,
      targetsSettled,
      ...ioStatsOf(agent),
    }));
}
