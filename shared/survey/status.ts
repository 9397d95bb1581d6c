/** What the coordinator tells people about surveys and agents. */
import { LIMITS } from '../base/limits.js';
import type { SurveyState } from './survey.js';
import { sumUnsent, type UnsentCounts } from './unsent.js';

export interface SurveyStatus extends Readonly<UnsentCounts> {
  readonly survey: string;
  readonly name: string;
  readonly state: SurveyState;
  readonly targets: number;
  /** Probes that left, repeated ones included. */
  readonly probesSent: number;
  /** Positions whose segment is stored. */
  readonly targetsCovered: number;
  /** covered / targets. */
  readonly coverage: number;
  /** Packets per second over the last second, and the budget. */
  readonly rate: number;
  readonly budget: number;
  readonly synack: number;
  readonly rst: number;
  readonly icmp: number;
  readonly shards: number;
  readonly shardsStored: number;
  /** Agents at work on it. */
  readonly agents: number;
  readonly rowsStored: number;
  /** Wall clock; `endedAt` is 0 while it runs. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Frames that passed the filters of captures, and those that captures or interfaces dropped. */
  readonly framesReceived: number;
  readonly framesDropped: number;
  /** Replies heard so far, settled or not: for progress. */
  readonly replies: number;
  /** Result batches whose rows could not be written. */
  readonly batchesSetAside: number;
  /** What people should know of it; empty where there is nothing. */
  readonly notice: string;
  /** What keeps it from going on; empty where nothing does. */
  readonly problem: string;
}

/** Covered targets that were asked and did not answer: not those of which no probe left. */
export function silentOf(
  status: Pick<SurveyStatus, 'targetsCovered' | 'synack' | 'rst' | 'icmp'> & Readonly<UnsentCounts>,
): number {
  const { targetsCovered, synack, rst, icmp } = status;
  return Math.max(0, targetsCovered - synack - rst - icmp - sumUnsent(status));
}

/** The share of frames that were dropped, where it is more than a survey may bear; else 0. */
export function alarmingDrops({
  framesReceived,
  framesDropped,
}: Pick<SurveyStatus, 'framesReceived' | 'framesDropped'>): number {
  const share = framesDropped / Math.max(1, framesReceived + framesDropped);
  return share > LIMITS.dropShareMax ? share : 0;
}

/** What became of one target. */
export interface LookupResult {
  readonly address: string;
  readonly port: number;
  readonly planned: boolean;
  /** Why it is not planned; empty where it is. */
  readonly rule: string;
  readonly position: number;
  readonly shard: number;
  readonly state: 'unplanned' | 'waiting' | 'leased' | 'probed' | 'stored';
  /** Who probed it, and the span of the epoch in which it did; empty and 0 where nobody has. */
  readonly agent: string;
  readonly vantage: string;
  readonly from: number;
  readonly until: number;
  /** A classification, `silent`, `not reported`, or empty where not yet known. */
  readonly outcome: string;
}

export interface AgentStatus {
  readonly agent: string;
  readonly vantage: string;
  readonly version: string;
  readonly state: string;
  readonly rate: number;
  readonly seenMillisAgo: number;
  readonly framesReceived: number;
  readonly framesDropped: number;
  readonly problem: string;
  /** The `FaultCode` of the problem; empty if there is none. */
  readonly problemCode: string;
  /** Packets per second lent to it, all surveys together. */
  readonly granted: number;
}
