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

/** Signs of life. */
export interface Heartbeats {
  publish(heartbeat: Heartbeat): void;
  subscribe(signal: AbortSignal): AsyncIterable<Heartbeat>;
}

export interface GrantChannel {
  publish(grant: Grant): void;
  subscribe(agent: string, signal: AbortSignal): AsyncIterable<Grant>;
}
