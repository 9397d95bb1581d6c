/** Opens the connection to the broker: connects, checks the server, follows reconnections. */
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '../../base/clock.js';
import { describeError, Fault } from '../../base/faults.js';
import { LIMITS } from '../../base/limits.js';
import type { BrokerAccess } from '../broker-access.js';
import type { BrokerConnection, StoreConnection } from './connection.js';
import { connectFault, locationOf, loginOptions } from './login.js';
import { API_ERROR, isApiError, untilReady } from './retry.js';
import { ensureStreams } from './streams.js';
import { inboxOf } from './subjects.js';

/** The oldest server that has what is needed; Debian 12 ships 2.9.10. */
const OLDEST_SERVER = [2, 9, 4] as const;
/** Copies of everything, if the broker is a cluster. */
const CLUSTER_REPLICAS = 3;
/**
 * Interval of the client's pings. If a server is silent for twice this long, the client reconnects, if
 * possible to another server.
 */
const PING_MILLIS = 2000;
const JETSTREAM_OPTIONS = { timeout: LIMITS.requestMillis } as const;

/** Connects, without touching any stream. @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED */
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
    ...(access.name !== undefined && { inboxPrefix: inboxOf(access.name) }),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    timeout: LIMITS.requestMillis,
  }).catch((cause: unknown) => {
    throw connectFault(access, cause);
  });
  checkServer(connection, access);
  const client = jetstream(connection, JETSTREAM_OPTIONS);
  const onReconnect = followReconnects(connection);
  return { connection, jetstream: client, onReconnect, clock: systemClock, closing };
}

/** Connects, and creates the streams. @throws Fault BROKER_UNREACHABLE or BROKER_REFUSED */
export async function openStores(
  access: BrokerAccess,
  name: string,
  closing: AbortSignal,
): Promise<StoreConnection> {
  const broker = await openConnection(access, name, closing);
  const { connection, onReconnect } = broker;
  try {
    const isCluster = connection.info?.cluster !== undefined;
    const manage = () => jetstreamManager(connection, JETSTREAM_OPTIONS);
    // A single server reports at once that it has no JetStream; a cluster also reports this during an
    // election.
    const manager = isCluster ? await untilReady(manage) : await manage();
    const replicas = isCluster ? CLUSTER_REPLICAS : 1;
    const keep = keeper(onReconnect, closing);
    await keep(() => ensureStreams(manager, replicas));
    return { ...broker, manager, buckets: new Kvm(broker.jetstream), keep, replicas };
  } catch (cause) {
    await connection.close();
    const lacksRoom =
      isApiError(cause, API_ERROR.NO_STORAGE) || isApiError(cause, API_ERROR.STREAM_STORE);
    const remedy = lacksRoom
      ? 'give it more storage: its disk, or max_file_store'
      : 'start it with -js';
    const reason = `the NATS server refuses JetStream (${describeError(cause)}); ${remedy}`;
    throw new Fault('BROKER_UNREACHABLE', reason, locationOf(access), cause);
  }
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

/** Calls `make` after each reconnection, too; creating a stream or bucket that exists changes nothing. */
function keeper(
  onReconnect: BrokerConnection['onReconnect'],
  closing: AbortSignal,
): StoreConnection['keep'] {
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
