/**
 * The interfaces between coordinator, agents and people, in terms of surveys. `nats/` and `memory/` implement
 * them and pass the same contract tests; only `nats/` knows subjects and streams.
 *
 * There are three faces. Agents ask the coordinator, and publish results; they reach nothing else. Coordinators
 * share stores on the broker. People reach the control API.
 *
 * Everywhere, delivery is at least once and acknowledgements are not fenced. Wherever something must happen
 * only once, a compare-and-set on a store decides, never a queue.
 */

import type { Lease } from '../survey/lease.js';
import type { Exclusion } from '../survey/policy/exclusions.js';
import type { ResultBatch } from '../survey/results.js';
import type { Survey } from '../survey/survey.js';
import type { AgentServer, CoordinatorClient } from './agent-api.js';
import type { ControlApi, ControlServer, Enrolment } from './control-api.js';
import type { ReplicationLog } from './replication-log.js';

interface Connection {
  /** Resolves with the reason once the broker is lost for good; never while it may come back. */
  readonly disconnected: Promise<Error>;
  close(): Promise<void>;
}

/** The bus as agents see it. */
export interface AgentBus extends Connection {
  readonly coordinator: CoordinatorClient;
  readonly results: ResultPublisher;
  /** Announcements of the coordinator: the id of a survey, or empty for all; from the call on. */
  announcements(signal: AbortSignal): AsyncIterable<string>;
}

/** The bus as coordinators see it. */
export interface CoordinatorBus extends Connection {
  readonly agents: AgentServer;
  readonly people: ControlServer;
  readonly enrolments: EnrolmentServer;
  readonly results: ResultConsumer;
  readonly surveys: SurveyStore;
  readonly spaces: SpaceStore;
  readonly leases: LeaseStore;
  readonly exclusions: ExclusionStore;
  readonly leader: LeaderStore;
  /** The replication log, which is created if it is missing. */
  openReplication(): Promise<ReplicationLog>;
  /** True if there is a replication log. */
  isReplicated(): Promise<boolean>;
}

/** Takes the public keys of those who were invited to join. */
export interface EnrolmentServer {
  serve(onEnrolment: (enrolment: Enrolment) => void, signal: AbortSignal): void;
}

/** The bus as people see it, through commands. */
export interface ControlBus extends Connection {
  readonly control: ControlApi;
}

/** The records of all surveys, which are changed by compare-and-set only. */
export interface SurveyStore {
  read(id: string): Promise<Versioned<Survey> | undefined>;
  /** As `LeaseStore.write`. */
  write(survey: Survey, revision: number): Promise<number | undefined>;
  list(): Promise<readonly Versioned<Survey>[]>;
}

/** Target spaces by the hash of their canonical bytes; also block rules. */
export interface SpaceStore {
  put(hash: string, bytes: Uint8Array): Promise<void>;
  get(hash: string): Promise<Uint8Array | undefined>;
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
  /** All records of a survey. */
  list(survey: string): Promise<readonly Versioned<Lease>[]>;
  /** Removes the records of a survey, or those with a revision below `before`. */
  purge(survey: string, before?: number): Promise<void>;
}

/** All exclusions, by version; watched by every coordinator. */
export interface ExclusionStore {
  /** @returns false if an entry with this version exists */
  add(entry: Exclusion): Promise<boolean>;
  list(): Promise<readonly Exclusion[]>;
  /** Overwrites the entry with this version. */
  replace(entry: Exclusion): Promise<void>;
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
export interface ResultPublisher {
  /**
   * Resolves once the batch is stored in the stream; waits while the stream is full. A batch that was published
   * before is stored once.
   * @param key of the lease
   */
  publish(batch: ResultBatch, key: Uint8Array): Promise<void>;
}

export interface ResultConsumer {
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
