/**
 * Heartbeats of agents, and the replies of the coordinator. They are all that the two say to each other about
 * work: a heartbeat reports every shard that the agent holds and asks for more; the reply grants rates and
 * leases, and names the shards that the agent has lost.
 */
import { createHash } from 'node:crypto';
import type { IcmpFindings } from '../survey/icmp-findings.js';
import type { LeaseState, Progress } from '../survey/lease.js';
import type { Survey } from '../survey/survey.js';
import type { Signature } from './signature.js';

/** An agent's work for one survey. */
export interface Activity {
  readonly survey: string;
  /** Has probes left to send, and asks for a share of the rate. */
  readonly hasWork: boolean;
  /** Packets per second over the last second. */
  readonly rate: number;
  /** Probes since the agent joined the survey. */
  readonly probesSent: number;
  /** Packets per second that the agent can use for this survey; 0 for no limit. */
  readonly ceiling: number;
  /** Serial of the grant in force, 0 for none. */
  readonly grantSerial: number;
  /** New replies, of any class. */
  readonly replies: number;
  /**
   * Answers that the survey does not accept, because they came from another port, or another address, than
   * the one that was probed.
   */
  readonly otherPort: number;
  readonly otherAddress: number;
  readonly ioStats: IoStats;
  /** The version of the exclusions that every probe from now on is checked against. */
  readonly exclusionsVersion: number;
  /** Hash of the agent's own block rules; empty if it has none. */
  readonly rulesHash: string;
  /** Number of shards that it asks for. */
  readonly wanted: number;
  /** All shards that it holds. A lease of this agent that is not among them is free. */
  readonly shards: readonly ShardReport[];
}

/** The report of an agent about a shard that it holds. Findings are those that no reply has answered yet. */
export interface ShardReport extends IcmpFindings {
  readonly shard: number;
  readonly epoch: number;
  /** After `released` and `settled`, the agent forgets the shard. */
  readonly state: LeaseState;
  /** Undefined if nothing has changed since the last report that was answered. */
  readonly progress?: Progress | undefined;
}

/** I/O statistics of an agent for one survey. */
export interface IoStats {
  /** Transmit method and interface: `af-xdp eth0`. */
  readonly transmit: string;
  readonly framesReceived: number;
  readonly framesDropped: number;
  readonly interfaceDropped: number;
  /** Refused system calls by errno name. */
  readonly sendErrors: Readonly<Record<string, number>>;
}

type AgentState = 'working' | 'leaving' | 'refused';

export interface Heartbeat {
  readonly vantage: string;
  readonly version: string;
  /** Version of the message protocol of the agent. */
  readonly protocol: number;
  /** A random name of the process: another one under the same name holds nothing of what this one held. */
  readonly session: string;
  /** The agent's own monotonic clock, in milliseconds; increases from heartbeat to heartbeat. */
  readonly sentAt: number;
  readonly invalid: number;
  readonly state: AgentState;
  /** One sentence if something needs a person; else empty. */
  readonly problem: string;
  /** The `FaultCode` of the problem; empty if there is none. */
  readonly problemCode: string;
  /** The surveys that the agent knows and that are not over. */
  readonly known: readonly SurveyVersion[];
  readonly activities: readonly Activity[];
  /** True if only a reply counts that its coordinator has signed. */
  readonly wantsSignature: boolean;
}

/** An encoded reply to a heartbeat, signed by the coordinator. */
export interface SignedReply extends Signature {
  readonly octets: Uint8Array;
}

/** The text that a coordinator signs: a reply fits one heartbeat of one process only. */
export function textOfReply(
  agent: string,
  { session, sentAt }: Heartbeat,
  octets: Uint8Array,
): string {
  const digest = createHash('sha256').update(octets).digest('hex');
  return `${agent} ${session} ${sentAt} ${digest}`;
}

export interface SurveyVersion {
  readonly survey: string;
  /** Increases with each change of the survey's record, also from coordinator to coordinator. */
  readonly version: number;
}

export interface HeartbeatReply {
  /** The fencing term of the coordinator: replies of an earlier term do not count. */
  readonly term: number;
  /** Version of the message protocol of the coordinator. */
  readonly protocol: number;
  /** The records that the agent does not have in this version. */
  readonly surveys: readonly { readonly version: number; readonly record: Survey }[];
  /** Surveys that the agent knows, and that are over or unknown here. */
  readonly forgotten: readonly string[];
  /** Running surveys with shards to lease. */
  readonly offered: readonly string[];
  /** One for each activity. */
  readonly grants: readonly Grant[];
  readonly leases: readonly NewLease[];
  /** Shards that the agent has reported, and does not hold: it must stop them at once. */
  readonly lost: readonly ShardEpoch[];
  /** The version of the latest exclusion. */
  readonly exclusionsVersion: number;
  /** The hash of the exclusions up to this version (`Exclusions.headAt`). */
  readonly exclusionsHead: string;
  /** The least time between two heartbeats of the agent, in milliseconds. */
  readonly gapMillis: number;
}

/**
 * A rate, granted in the reply to a heartbeat. The grant expires `ttlMillis` after the heartbeat was sent, on the
 * agent's own clock. However late the reply is delivered, the coordinator therefore knows by when it has expired.
 */
export interface Grant {
  readonly survey: string;
  readonly serial: number;
  readonly rate: number;
  readonly ttlMillis: number;
  /** The version of the exclusions that the agent must enforce before it sends any more. */
  readonly exclusionsVersion: number;
  /**
   * The reason for quarantine, in which the agent releases its shards and leases no others; empty if it is not
   * in quarantine.
   */
  readonly quarantineReason: string;
  /** Shards to release, because other agents can finish them sooner. */
  readonly releaseShards: readonly number[];
}

/** One epoch of a shard's lease. */
export interface ShardEpoch {
  readonly survey: string;
  readonly shard: number;
  readonly epoch: number;
}

/** A shard that the agent holds from now on. */
export interface NewLease extends ShardEpoch {
  /** The position where the epoch starts. */
  readonly from: number;
  /** The key of the cookies of this epoch's probes: sixteen octets. */
  readonly key: Uint8Array;
}
