/** The connection to the broker that all NATS parts share. */
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../../base/clock.js';

export interface BrokerConnection {
  readonly connection: NatsConnection;
  /** Publishes to streams; needs no right but the one to publish. */
  readonly jetstream: JetStreamClient;
  readonly clock: Clock;
  /** Aborts when we close: then retries give up. */
  readonly closing: AbortSignal;
  /**
   * Calls `listener` at each reconnection, because messages that were pushed to the old connection are lost.
   * @returns a function that unsubscribes
   */
  onReconnect(listener: () => void): () => void;
}

/** The connection of a coordinator, which alone creates streams and buckets. */
export interface StoreConnection extends BrokerConnection {
  readonly manager: JetStreamManager;
  readonly buckets: Kvm;
  /** Copies of streams and buckets. */
  readonly replicas: number;
  /** Creates a stream or bucket now, and again after each reconnection: a broker may come back empty. */
  keep<Made>(make: () => Promise<Made>): Promise<Made>;
}
