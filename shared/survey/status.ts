/** Status of surveys and agents, for people and monitoring. */
import { LIMITS } from '../base/limits.js';
import type { FindingsSummary } from './icmp-findings.js';
import { sumReplies } from './lease.js';
import type { SurveyState } from './survey.js';
import type { EndReason } from './survey-limits.js';
import { sumUnsent, type UnsentCounts } from './unsent.js';

export interface SurveyStatus extends Readonly<UnsentCounts> {
  readonly survey: string;
  readonly name: string;
  readonly state: SurveyState;
  /** The limit that ended it; empty if none did. */
  readonly endReason: EndReason;
  readonly targets: number;
  /** Probes sent, including repeated ones. */
  readonly probesSent: number;
  /** Positions in stored shards. */
  readonly targetsCovered: number;
  /** targetsCovered / targets. */
  readonly coverage: number;
  /** Packets per second over the last second, and the budget. */
  readonly rate: number;
  readonly budget: number;
  /** Settled targets by the class of their best reply, in the order of the classes' ranks. */
  readonly replied: Readonly<Record<string, number>>;
  /** Hosts, or networks of hosts, that send ICMP errors in bursts: their silence may be due to a rate limit. */
  readonly icmpLimited: FindingsSummary;
  /**
   * Answers that the survey does not accept because they come from another port, or another address, than the
   * one probed.
   */
  readonly otherPort: number;
  readonly otherAddress: number;
  /** Networks that report administrative prohibition, and are probed slowly. */
  readonly slowedNetworks: FindingsSummary;
  /** The probes of the survey, in the syntax of `--probe`. */
  readonly probes: readonly string[];
  readonly probesPerTarget: number;
  readonly shards: number;
  readonly shardsStored: number;
  /** Agents at work on it. */
  readonly agents: number;
  readonly rowsStored: number;
  /** Wall clock; `endedAt` is 0 while it runs. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Frames that passed the capture filters, and those that captures or interfaces dropped. */
  readonly framesReceived: number;
  readonly framesDropped: number;
  /** Replies received so far, settled or not: for progress. */
  readonly replies: number;
  /** Result batches whose rows could not be written. */
  readonly batchesSetAside: number;
  /** A notice for people; empty if there is none. */
  readonly notice: string;
  /** The reason why it does not continue; empty if it does. */
  readonly problem: string;
}

/** Covered targets that were probed and did not answer; unsent ones are not among them. */
export function silentOf(
  status: Pick<SurveyStatus, 'targetsCovered' | 'replied'> & Readonly<UnsentCounts>,
): number {
  const { targetsCovered, replied } = status;
  return Math.max(0, targetsCovered - sumReplies(replied) - sumUnsent(status));
}

/** The share of dropped frames if it is above the limit; else 0. */
export function alarmingDrops({
  framesReceived,
  framesDropped,
}: Pick<SurveyStatus, 'framesReceived' | 'framesDropped'>): number {
  const share = framesDropped / Math.max(1, framesReceived + framesDropped);
  return share > LIMITS.dropShareMax ? share : 0;
}

/** The answer to a lookup about one target. */
export interface LookupResult {
  readonly address: string;
  /** 0 if the probe has no ports. */
  readonly port: number;
  /** Name of the probe. */
  readonly probe: string;
  readonly planned: boolean;
  /** The reason why it was not planned or not probed; empty if it was probed. */
  readonly rule: string;
  readonly position: number;
  readonly shard: number;
  readonly state: 'unplanned' | 'waiting' | 'leased' | 'probed' | 'stored';
  /** The agent that probed it, and the time span of its epoch; empty and 0 if it was not probed. */
  readonly agent: string;
  readonly vantage: string;
  readonly from: number;
  readonly until: number;
  /** A classification, an unsent reason, `silent`, `no success`, or empty if not yet known. */
  readonly outcome: string;
  /** The reason why the target's silence may have another cause than usual; empty if there is none. */
  readonly remark: string;
}

/** States of an agent, as a coordinator reports them. */
export const AGENT_STATES = ['working', 'leaving', 'refused', 'quarantined', 'gone'] as const;

export interface AgentStatus {
  readonly agent: string;
  readonly vantage: string;
  readonly version: string;
  readonly state: (typeof AGENT_STATES)[number];
  readonly rate: number;
  readonly seenMillisAgo: number;
  readonly framesReceived: number;
  readonly framesDropped: number;
  readonly problem: string;
  /** The `FaultCode` of the problem; empty if there is none. */
  readonly problemCode: string;
  /** Packets per second granted to it, all surveys together. */
  readonly granted: number;
}
