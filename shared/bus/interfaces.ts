/**
 * The interfaces between coordinator and agents, in terms of surveys. `nats/` and `memory/` implement them
 * and pass the same contract tests; only `nats/` knows subjects and streams.
 *
 * Everywhere, delivery is at least once and acknowledgements are not fenced. Wherever something must happen
 * only once, the compare-and-set of the lease store decides, never a queue.
 */

import type { Lease } from '../survey/lease.js';
import type { Exclusion } from '../survey/policy/exclusions.js';
import type { ResultBatch } from '../survey/results.js';
import type { Survey } from '../survey/survey.js';
import type { ControlApi } from './control-api.js';
import type { Grant, Heartbeat } from './heartbeat.js';

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

/**
 * The records of all surveys, which are changed by compare-and-set only and watched by every coordinator and
 * agent.
 */
export interface SurveyStore {
  read(id: string): Promise<Versioned<Survey> | undefined>;
  /** As `LeaseStore.write`. */
  write(survey: Survey, revision: number): Promise<number | undefined>;
  list(): Promise<readonly Versioned<Survey>[]>;
  /** All surveys now, then each change, until the signal aborts. */
  watch(signal: AbortSignal): AsyncIterable<Survey>;
}

/** Target spaces by the hash of their canonical bytes; also block rules. */
export interface SpaceStore {
  put(hash: string, bytes: Uint8Array): Promise<void>;
  get(hash: string): Promise<Uint8Array | undefined>;
}

/**
 * Shards on offer. Each survey has its own queue, so that no survey waits behind another. A shard is
 * delivered to one agent at a time; if that agent stops extending it, it is delivered again.
 */
export interface ShardQueue {
  /** Creates the queue of a survey; an existing one stays as it is. */
  open(survey: string): Promise<void>;
  /** Offers a shard; offering one that is already on offer changes nothing. */
  offer(survey: string, shard: number): Promise<void>;
  /** The survey's next shard; undefined after `waitMillis`, or if it has no queue. */
  next(survey: string, waitMillis: number, signal: AbortSignal): Promise<ShardOffer | undefined>;
  /** Removes the queue of a survey with all its offers. */
  close(survey: string): Promise<void>;
}

export interface ShardOffer {
  readonly survey: string;
  readonly shard: number;
  /** Keeps the shard for another `LIMITS.workAckMillis` (NATS: working). */
  extend(): void;
  /** The shard needs no further offer (NATS: ack). */
  complete(): Promise<void>;
  /** Offers the shard again after `millis` (NATS: nak). */
  release(millis: number): void;
}

export interface Versioned<Value> {
  readonly value: Value;
  readonly revision: number;
}

/** The lease records, which decide who may probe a shard; changed by compare-and-set only. */
export interface LeaseStore {
  read(survey: string, shard: number): Promise<Versioned<Lease> | undefined>;
  /**
   * Writes the record if its revision is still `revision`, where 0 means that there is no record yet.
   * @returns the new revision, or undefined if nothing was written
   */
  write(lease: Lease, revision: number): Promise<number | undefined>;
  /** All records of a survey now, then each change, until the signal aborts. */
  watch(survey: string, signal: AbortSignal): AsyncIterable<Versioned<Lease>>;
  /** Removes the records of a survey, or those with a revision below `before`. */
  purge(survey: string, before?: number): Promise<void>;
}

/** All exclusions, by version; watched by everyone. */
export interface ExclusionStore {
  /** @returns false if an entry with this version exists */
  add(entry: Exclusion): Promise<boolean>;
  list(): Promise<readonly Exclusion[]>;
  /** All entries now, then each new one, until the signal aborts. */
  watch(signal: AbortSignal): AsyncIterable<Exclusion>;
}

/** The record of the leader. */
export interface Leader {
  readonly id: string;
  /** Fencing term: the number of leaders so far. */
  readonly term: number;
  /** True if the leader has resigned, so that a standby can take over at once. */
  readonly resigned: boolean;
}

/** The leader's record, changed by compare-and-set only. */
export interface LeaderStore {
  read(): Promise<Versioned<Leader> | undefined>;
  /** As `LeaseStore.write`. */
  write(leader: Leader, revision: number): Promise<number | undefined>;
}

/** Result batches: kept until their segment is durable. */
export interface ResultStream {
  /** Resolves once the batch is stored in the stream; waits while the stream is full. */
  publish(batch: ResultBatch): Promise<void>;
  /** Every unacknowledged batch, from the oldest on, until the signal aborts. One consumer only. */
  consume(signal: AbortSignal): AsyncIterable<ResultDelivery>;
}

export interface ResultDelivery {
  readonly batch: ResultBatch;
  /** Batches in the stream that have not been delivered yet. */
  readonly remaining: number;
  /** Removes the batch from the stream, once its rows are durable or not needed. */
  acknowledge(): void;
}

/** Heartbeats of all agents. */
export interface Heartbeats {
  publish(heartbeat: Heartbeat): void;
  subscribe(signal: AbortSignal): AsyncIterable<Heartbeat>;
}

export interface GrantChannel {
  publish(grant: Grant): void;
  subscribe(agent: string, signal: AbortSignal): AsyncIterable<Grant>;
}
