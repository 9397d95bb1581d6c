/** The connection to the broker that all NATS parts share. */
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../../base/clock.js';

export interface BrokerConnection {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly buckets: Kvm;
  readonly clock: Clock;
  /** Copies of streams and buckets. */
  readonly replicas: number;
  /** Aborts when we close: then retries give up. */
  readonly closing: AbortSignal;
  /**
   * Calls `listener` at each reconnection, because messages that were pushed to the old connection are lost.
   * @returns a function that unsubscribes
   */
  onReconnect(listener: () => void): () => void;
  /** Creates a stream or bucket now, and again after each reconnection: a broker may come back empty. */
  keep<Made>(make: () => Promise<Made>): Promise<Made>;
}
