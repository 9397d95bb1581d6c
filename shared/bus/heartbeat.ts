/** Heartbeats of agents, and the grants that answer them. */

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
  readonly agent: string;
  readonly vantage: string;
  readonly version: string;
  /** Version of the message protocol of the agent. */
  readonly protocol: number;
  /** The agent's own monotonic clock, in milliseconds. */
  readonly sentAt: number;
  readonly invalid: number;
  readonly state: AgentState;
  /** One sentence if something needs a person; else empty. */
  readonly problem: string;
  /** The `FaultCode` of the problem; empty if there is none. */
  readonly problemCode: string;
  readonly activities: readonly Activity[];
}

/**
 * A rate, granted in answer to a heartbeat. The grant expires `ttlMillis` after `heartbeatAt` on the agent's
 * own clock. However late the grant is delivered, the coordinator therefore knows by when it has expired.
 */
export interface Grant {
  readonly survey: string;
  readonly agent: string;
  readonly serial: number;
  readonly rate: number;
  readonly heartbeatAt: number;
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
