/**
 * What coordinator and agents say to each other, in words of the survey. `nats/` and `memory/`
 * implement these ports under one contract suite; nothing outside them knows a subject or a stream.
 *
 * Delivery is at least once everywhere, and acknowledgements are not fenced: what may happen once
 * only is decided by the lease book's compare-and-set, never by a queue.
 */

import type { Lease } from '../survey/lease.js';
import type { Exclusion } from '../survey/policy/exclusions.js';
import type { ResultBatch } from '../survey/results.js';
import type { AgentStatus, LookupResult, SurveyStatus } from '../survey/status.js';
import type { Survey, SurveyRequest } from '../survey/survey.js';

export interface Bus {
  readonly surveys: SurveyStore;
  readonly spaces: SpaceStore;
  readonly work: ShardQueue;
  readonly leases: LeaseStore;
  readonly results: ResultStream;
  readonly heartbeats: Heartbeats;
  readonly grants: GrantChannel;
  readonly control: ControlApi;
  readonly exclusions: ExclusionStore;
  readonly leader: LeaderStore;
  /** Resolves with the reason once the broker is lost for good; never while it may come back. */
  readonly disconnected: Promise<Error>;
  close(): Promise<void>;
}

/** The surveys there are; kept, changed only by compare-and-set, and watched by everyone. */
export interface SurveyStore {
  read(id: string): Promise<Versioned<Survey> | undefined>;
  /** As `LeaseBook.write`. */
  write(survey: Survey, revision: number): Promise<number | undefined>;
  list(): Promise<readonly Versioned<Survey>[]>;
  /** All surveys now, then each change, until the signal aborts. */
  watch(signal: AbortSignal): AsyncIterable<Survey>;
}

/** Spaces by the hash of their canonical bytes. */
export interface SpaceStore {
  put(hash: string, bytes: Uint8Array): Promise<void>;
  get(hash: string): Promise<Uint8Array | undefined>;
}

/**
 * Shards on offer, a queue for each survey, so that no survey waits behind another: each shard is
 * delivered to one agent at a time, and again if that one falls silent.
 */
export interface ShardQueue {
  /** Makes the queue of a survey; one that is there stays as it is. */
  open(survey: string): Promise<void>;
  /** Offers a shard; offering one that is already on offer changes nothing. */
  offer(survey: string, shard: number): Promise<void>;
  /** The survey's next shard, or undefined after `waitMillis`, or where it has no queue. */
  next(survey: string, waitMillis: number, signal: AbortSignal): Promise<ShardOffer | undefined>;
  /** Withdraws the queue of a survey with all its offers. */
  close(survey: string): Promise<void>;
}

export interface ShardOffer {
  readonly survey: string;
  readonly shard: number;
  /** Keeps the shard from being offered to another for a while. */
  extend(): void;
  /** The shard needs no further offer. */
  complete(): Promise<void>;
  /** Offers the shard again after `millis`. */
  release(millis: number): void;
}

export interface Versioned<Value> {
  readonly value: Value;
  readonly revision: number;
}

/** The truth about leases: records changed only by compare-and-set. */
export interface LeaseStore {
  read(survey: string, shard: number): Promise<Versioned<Lease> | undefined>;
  /**
   * Replaces the record of this revision (0: there is none yet).
   * @returns the new revision, or undefined where another write came first
   */
  write(lease: Lease, revision: number): Promise<number | undefined>;
  /** All records of a survey now, then each change, until the signal aborts. */
  watch(survey: string, signal: AbortSignal): AsyncIterable<Versioned<Lease>>;
  /** Forgets the records of a survey, or those whose revision is below `before`. */
  purge(survey: string, before?: number): Promise<void>;
}

/** The exclusions there are, by version; kept, and watched by everyone. */
export interface ExclusionStore {
  /** @returns false where an entry of this version is there already */
  add(entry: Exclusion): Promise<boolean>;
  list(): Promise<readonly Exclusion[]>;
  /** All entries now, then each new one, until the signal aborts. */
  watch(signal: AbortSignal): AsyncIterable<Exclusion>;
}

/** Who coordinates. */
export interface Leader {
  readonly id: string;
  /** Counts the leaders there have been. */
  readonly term: number;
  /** Has left in order: nobody needs to wait. */
  readonly resigned: boolean;
}

/** The one record that says who leads, changed only by compare-and-set. */
export interface LeaderStore {
  read(): Promise<Versioned<Leader> | undefined>;
  /** As `LeaseBook.write`. */
  write(leader: Leader, revision: number): Promise<number | undefined>;
}

/** Result batches: kept until their segment is durable. */
export interface ResultStream {
  /** Resolves when the batch is kept; waits where the stream is full. */
  publish(batch: ResultBatch): Promise<void>;
  /** Every batch not yet stored, from the oldest, until the signal aborts. One consumer only. */
  consume(signal: AbortSignal): AsyncIterable<ResultDelivery>;
}

export interface ResultDelivery {
  readonly batch: ResultBatch;
  /** Batches in the stream that have not been delivered yet. */
  readonly remaining: number;
  /** The batch is durable elsewhere, or of no use: forget it. */
  acknowledge(): void;
}

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

/** Signs of life. */
export interface Heartbeats {
  publish(heartbeat: Heartbeat): void;
  subscribe(signal: AbortSignal): AsyncIterable<Heartbeat>;
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

export interface GrantChannel {
  publish(grant: Grant): void;
  subscribe(agent: string, signal: AbortSignal): AsyncIterable<Grant>;
}

/** What the command line asks of the coordinator, and what comes back for each verb. */
export interface ControlVerbs {
  launch: { ask: { request: SurveyRequest }; answer: { survey: string } };
  /** Without a survey: all of them. */
  status: { ask: { survey: string }; answer: { statuses: readonly SurveyStatus[] } };
  pause: { ask: { survey: string }; answer: { survey: string } };
  resume: { ask: { survey: string }; answer: { survey: string } };
  cancel: { ask: { survey: string; immediately: boolean }; answer: { survey: string } };
  /** Packets per second from now on. */
  rate: { ask: { survey: string; rate: number }; answer: { survey: string } };
  /** Adds an exclusion; answers once all agents obey, or after 1.5 s. */
  exclude: {
    ask: { prefix: string; reason: string; by: string };
    answer: { version: number; waiting: readonly string[] };
  };
  /** Takes back the exclusion of a version, or of a range; answers as `exclude` does. */
  lift: {
    ask: { lifted: string; reason: string; by: string };
    answer: { version: number; waiting: readonly string[] };
  };
  exclusions: { ask: object; answer: { exclusions: readonly Exclusion[] } };
  lookup: {
    ask: { survey: string; target: string };
    answer: { survey: string; results: readonly LookupResult[] };
  };
  agents: { ask: object; answer: { agents: readonly AgentStatus[] } };
  /** What a survey has on disk: paths within its folder. */
  files: {
    ask: { survey: string };
    answer: { survey: string; folder: string; files: readonly string[] };
  };
  file: {
    ask: { survey: string; file: string; offset: number };
    answer: { chunk: Uint8Array; total: number };
  };
}

export type ControlVerb = keyof ControlVerbs;

export type ControlHandlers = {
  readonly [Verb in ControlVerb]: (
    ask: ControlVerbs[Verb]['ask'],
  ) => Promise<ControlVerbs[Verb]['answer']>;
};

export interface ControlApi {
  /** @throws Fault NO_COORDINATOR where nobody answers, or the fault of the one who did */
  ask<Verb extends ControlVerb>(
    verb: Verb,
    ask: ControlVerbs[Verb]['ask'],
  ): Promise<ControlVerbs[Verb]['answer']>;
  serve(handlers: ControlHandlers, signal: AbortSignal): void;
}
