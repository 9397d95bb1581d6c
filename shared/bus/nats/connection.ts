/**
 * The connection that all NATS parts share, and what a flaky network asks of each request: a short
 * timeout and patience. In-flight requests are lost when the connection drops (nats.js does not
 * replay them), so whatever may be repeated is repeated until the broker is back or we are closing.
 */
import {
  AckPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm } from '@nats-io/obj';
import {
  ConnectionError,
  connect,
  type NatsConnection,
  NoRespondersError,
  nanos,
  RequestError,
  TimeoutError,
} from '@nats-io/transport-node';
import type { BrokerAccess } from '../../base/broker-access.js';
import { type Clock, systemClock } from '../../base/clock.js';
import { describeError, Fault } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import { connectFault, locationOf, loginOptions } from './login.js';
import { type BUCKET, CONSUMER, STREAM, SUBJECT } from './subjects.js';

/** The oldest server whose work queues behave as we need; Debian 12 ships 2.9.10. */
const OLDEST_SERVER = [2, 9, 4] as const;
const RETRY_MILLIS = 200;
/** Room for rows that wait to be stored: as much of it as the server can spare. */
const RESULTS_OCTETS = { most: 4 * 1024 ** 3, least: 64 * 1024 ** 2 } as const;
/** Copies of everything, where the broker is a cluster. */
const CLUSTER_REPLICAS = 3;
/** A cluster that has just been started is waited for. */
const READY_MILLIS = 15_000;
/** A broker that has been silent for twice this is given up for another. */
const PING_MILLIS = 2000;
/** JetStream API errors that are answers, not accidents. */
export const API_ERROR = {
  WRONG_LAST_SEQUENCE: 10071,
  /** Also what a full subject says: which of the two follows from the stream asked. */
  STREAM_FULL: 10077,
  /** A cluster that has not found all its members yet. */
  NO_PEERS: 10005,
  /** There is less storage than a stream is to have. */
  NO_STORAGE: 10047,
  /** A stream's files cannot be made. */
  STREAM_STORE: 10049,
} as const;

export interface BrokerConnection {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly buckets: Kvm;
  readonly objects: Objm;
  readonly clock: Clock;
  /** Copies of streams and buckets. */
  readonly replicas: number;
  /** Aborts when we close: what still retries gives up. */
  readonly closing: AbortSignal;
  /**
   * Calls back at each reconnection: what a server pushed to the old connection is lost, and what it
   * would push to the new one may be. @returns how to stop
   */
  onReconnect(listener: () => void): () => void;
  /** Makes a stream or bucket now, and again after each reconnection: a broker may come back empty. */
  keep<Made>(make: () => Promise<Made>): Promise<Made>;
}

/** @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED */
export async function openConnection(
  access: BrokerAccess,
  name: string,
  closing: AbortSignal,
): Promise<BrokerConnection> {
  const connection = await connect({
    ...loginOptions(access),
    pingInterval: PING_MILLIS,
    maxPingOut: 2,
    name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    timeout: LIMITS.requestMillis,
  }).catch((cause: unknown) => {
    throw connectFault(access, cause);
  });
  checkServer(connection, access);
  const options = { timeout: LIMITS.requestMillis };
  const client = jetstream(connection, options);
  try {
    const isCluster = connection.info?.cluster !== undefined;
    const manage = () => jetstreamManager(connection, options);
    // One server without JetStream says so at once; a cluster says the same while it elects.
    const manager = isCluster ? await untilReady(manage) : await manage();
    const replicas = isCluster ? CLUSTER_REPLICAS : 1;
    const onReconnect = followReconnects(connection);
    const keep = keeper(onReconnect, closing);
    await keep(() => ensureStreams(manager, replicas));
    const buckets = new Kvm(client);
    const objects = new Objm(client);
    return {
      connection,
      jetstream: client,
      manager,
      buckets,
      objects,
      onReconnect,
      keep,
      clock: systemClock,
      replicas,
      closing,
    };
  } catch (cause) {
    await connection.close();
    const lacksRoom =
      isApiError(cause, API_ERROR.NO_STORAGE) || isApiError(cause, API_ERROR.STREAM_STORE);
    const remedy = lacksRoom
      ? 'give it more room: its disk, or max_file_store'
      : 'start it with -js';
    const reason = `the NATS server refuses JetStream (${describeError(cause)}); ${remedy}`;
    throw new Fault('BROKER_UNREACHABLE', reason, locationOf(access), cause);
  }
}

/**
 * Repeats what may be repeated until it succeeds, is answered, or we are closing. A broker that is
 * away, restarting or full is no answer; everything else is, above all a refused compare-and-set.
 */
export async function withRetry<Result>(
  broker: BrokerConnection,
  attempt: () => Promise<Result>,
): Promise<Result> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isTransient(error) || broker.closing.aborted || broker.connection.isClosed())
        throw error;
      await broker.clock.sleep(RETRY_MILLIS, broker.closing);
    }
  }
}

function isTransient(error: unknown): boolean {
  if (error instanceof JetStreamApiError) {
    return error.status === 503 || isApiError(error, API_ERROR.STREAM_FULL);
  }
  return (
    error instanceof TimeoutError ||
    error instanceof RequestError ||
    error instanceof NoRespondersError ||
    // What a server that is shutting down answers; the client does not export the class.
    (error instanceof Error && error.name === 'JetStreamNotEnabled') ||
    error instanceof ConnectionError
  );
}

export function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}

function checkServer(connection: NatsConnection, access: BrokerAccess): void {
  const version = connection.info?.version ?? '0';
  const parts = version.split('.').map(Number);
  for (const [i, least] of OLDEST_SERVER.entries()) {
    const part = parts[i] ?? 0;
    if (part > least) return;
    if (part < least) {
      const reason = `nats-server ${version} is too old: ${OLDEST_SERVER.join('.')} or later is needed`;
      throw new Fault('BROKER_UNREACHABLE', reason, locationOf(access));
    }
  }
}

/** A cluster has no leader, or not all its members, for a while after its start. */
async function untilReady<Result>(attempt: () => Promise<Result>): Promise<Result> {
  const giveUpAt = systemClock.monotonic() + READY_MILLIS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const isEarly = isTransient(error) || isApiError(error, API_ERROR.NO_PEERS);
      if (!isEarly || systemClock.monotonic() > giveUpAt) throw error;
      await systemClock.sleep(RETRY_MILLIS);
    }
  }
}

async function ensureStreams(manager: JetStreamManager, replicas: number): Promise<void> {
  const shared = {
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    num_replicas: replicas,
  };
  await manager.streams.add({
    ...shared,
    name: STREAM.WORK,
    subjects: [SUBJECT.WORK_ALL],
    max_msgs_per_subject: 1,
    discard_new_per_subject: true,
  });
  const results = { ...shared, name: STREAM.RESULTS, subjects: [SUBJECT.RESULTS_ALL] };
  if (await hasStream(manager, STREAM.RESULTS)) return; // with the room that it was given
  for (let max_bytes: number = RESULTS_OCTETS.most; ; max_bytes /= 2) {
    try {
      await manager.streams.add({ ...results, max_bytes });
      return;
    } catch (error) {
      if (!isApiError(error, API_ERROR.NO_STORAGE) || max_bytes <= RESULTS_OCTETS.least)
        throw error;
    }
  }
}

async function hasStream(manager: JetStreamManager, name: string): Promise<boolean> {
  const streams = await manager.streams.names().next();
  return streams.includes(name);
}

/** A consumer from the oldest batch on: made anew, so that what a crash left unstored comes again. */
export async function renewCollector(manager: JetStreamManager): Promise<void> {
  await manager.consumers.delete(STREAM.RESULTS, CONSUMER.COLLECTOR).catch(() => {});
  await manager.consumers.add(STREAM.RESULTS, {
    durable_name: CONSUMER.COLLECTOR,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(LIMITS.resultAckMillis),
    max_ack_pending: -1,
  });
}

export function openBucket(
  broker: BrokerConnection,
  name: Exclude<(typeof BUCKET)[keyof typeof BUCKET], 'spaces'>,
) {
  const { replicas } = broker;
  // Only the leader of a cluster's bucket knows what was written last.
  const allow_direct = replicas === 1;
  const options = { history: 1, storage: StorageType.File, replicas, allow_direct };
  return broker.keep(() => broker.buckets.create(name, options));
}

/** Making what is there changes nothing. */
function keeper(
  onReconnect: BrokerConnection['onReconnect'],
  closing: AbortSignal,
): BrokerConnection['keep'] {
  return async (make) => {
    onReconnect(() => {
      if (!closing.aborted) untilReady(make).catch(() => {}); // the next reconnection tries again
    });
    return await untilReady(make);
  };
}

function followReconnects(connection: NatsConnection): BrokerConnection['onReconnect'] {
  const listeners = new Set<() => void>();
  const follow = async () => {
    for await (const { type } of connection.status()) {
      if (type === 'reconnect') for (const listener of listeners) listener();
    }
  };
  void follow().catch(() => {}); // ends with the connection
  return (listener) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
}
