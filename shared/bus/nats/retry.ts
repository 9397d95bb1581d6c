/**
 * Retries of JetStream requests. Requests in progress are lost when the connection drops (nats.js does not
 * repeat them), so an idempotent request is retried until the broker is back or we are closing.
 */
import { JetStreamApiError } from '@nats-io/jetstream';
import {
  ConnectionError,
  NoRespondersError,
  RequestError,
  TimeoutError,
} from '@nats-io/transport-node';
import { systemClock } from '../../base/clock.js';
import type { BrokerConnection } from './connection.js';

const RETRY_MILLIS = 200;
/** Maximum wait for a cluster that has just been started. */
const READY_MILLIS = 15_000;

/** JetStream API errors that are answers, not outages. */
export const API_ERROR = {
  WRONG_LAST_SEQUENCE: 10071,
  /** The stream of results is full. */
  STREAM_FULL: 10077,
  /** A cluster that has not found all its members yet. */
  NO_PEERS: 10005,
  /** There is less storage than the stream should have. */
  NO_STORAGE: 10047,
  /** A stream's files cannot be created. */
  STREAM_STORE: 10049,
} as const;

/**
 * Retries an idempotent request until it succeeds, until it is answered by an error, or until we are closing.
 * A broker that is unreachable, restarting or full has not answered. Every other error is an answer, above
 * all a failed compare-and-set.
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

/** True if an error says that the broker has not answered, or cannot now. */
export function isTransient(error: unknown): boolean {
  if (error instanceof JetStreamApiError) {
    return error.status === 503 || isApiError(error, API_ERROR.STREAM_FULL);
  }
  return (
    error instanceof TimeoutError ||
    error instanceof RequestError ||
    error instanceof NoRespondersError ||
    // The answer of a server that is shutting down; the client does not export the class.
    (error instanceof Error && error.name === 'JetStreamNotEnabled') ||
    error instanceof ConnectionError
  );
}

export function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}

/**
 * Retries a request to a cluster that was just started: for a while, it may have no leader, or lack some of
 * its members.
 */
export async function untilReady<Result>(attempt: () => Promise<Result>): Promise<Result> {
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
