/** The streams, consumers and buckets of the broker: created if they are missing. */
import {
  AckPolicy,
  DiscardPolicy,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { LIMITS } from '../../base/limits.js';
import type { StoreConnection } from './connection.js';
import { API_ERROR, isApiError } from './retry.js';
import { type BUCKET, CONSUMER, STREAM, SUBJECT } from './subjects.js';

/**
 * Size of the results stream: starts at `most`, and is halved, down to `least`, while the server has too
 * little storage.
 */
const RESULTS_OCTETS = { most: 4 * 1024 ** 3, least: 64 * 1024 ** 2 } as const;
export async function ensureStreams(manager: JetStreamManager, replicas: number): Promise<void> {
  const shared = {
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    num_replicas: replicas,
  };
  const results = { ...shared, name: STREAM.RESULTS, subjects: [SUBJECT.RESULTS_ALL] };
  if (await hasStream(manager, STREAM.RESULTS)) return; // keeps the size with which it was created
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

/** True if the broker has a stream. */
export async function hasStream(manager: JetStreamManager, name: string): Promise<boolean> {
  const streams = await manager.streams.names().next();
  return streams.includes(name);
}

/**
 * Replaces the consumer of results by a new one, which starts at the oldest batch: batches that a crash left
 * unacknowledged are delivered again.
 */
export async function renewCollector(manager: JetStreamManager): Promise<void> {
  await manager.consumers.delete(STREAM.RESULTS, CONSUMER.COLLECTOR).catch(() => {});
  await manager.consumers.add(STREAM.RESULTS, {
    durable_name: CONSUMER.COLLECTOR,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(LIMITS.resultAckMillis),
    max_ack_pending: -1,
  });
}

export function openBucket(broker: StoreConnection, name: (typeof BUCKET)[keyof typeof BUCKET]) {
  const { replicas } = broker;
  // Only the leader of a clustered bucket knows the last write.
  const allow_direct = replicas === 1;
  const options = { history: 1, storage: StorageType.File, replicas, allow_direct };
  return broker.keep(() => broker.buckets.create(name, options));
}
