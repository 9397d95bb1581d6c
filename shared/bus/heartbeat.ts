/** Heartbeats of agents, and the grants that answer them. */

/** What an agent does for one survey. */
export interface Activity {
  readonly survey: string;
  /** Has targets left to send. */
  readonly hasWork: boolean;
  /** Packets per second over the last second. */
  readonly rate: number;
  /** Probes since the agent joined the survey. */
  readonly probesSent: number;
  /** Packets per second that the agent can use for this survey; 0 for no limit. */
  readonly ceiling: number;
  /** Serial of the grant in force, 0 for none. */
  readonly grantSerial: number;
  /** First replies heard, of any class. */
  readonly replies: number;
  readonly ioStats: IoStats;
  /** The version of the exclusions that every probe from now on is held against. */
  readonly exclusionsVersion: number;
}

/** What an agent sends and listens with for one survey, and how that fares. */
export interface IoStats {
  /** How frames leave: `af-xdp eth0`. */
  readonly transmit: string;
  readonly framesReceived: number;
  readonly framesDropped: number;
  readonly interfaceDropped: number;
  /** System calls that the kernel refused, by the name of the error. */
  readonly sendErrors: Readonly<Record<string, number>>;
}

type AgentState = 'working' | 'leaving' | 'refused';

export interface Heartbeat {
  readonly agent: string;
  readonly vantage: string;
  readonly version: string;
  /** Of the messages it speaks. */
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
 * A rate lent in answer to a heartbeat. It lapses `lasts` milliseconds after `answers` on the
 * agent's own clock: however late it is delivered, the coordinator knows when it is over.
 */
export interface Grant {
  readonly survey: string;
  readonly agent: string;
  readonly serial: number;
  readonly rate: number;
  readonly heartbeatAt: number;
  readonly ttlMillis: number;
  /** The version of the exclusions that the agent must obey before it sends any more. */
  readonly exclusionsVersion: number;
  /** Why the agent must hand back what it holds and take no more; empty where it may go on. */
  readonly quarantineReason: string;
  /** Shards that others can finish sooner: to be handed back. */
  readonly releaseShards: readonly number[];
}
