/** The lease store in a key-value bucket. */
import type { KV } from '@nats-io/kv';
import type { Lease } from '../../../survey/lease.js';
import type { LeaseStore, Versioned } from '../../interfaces.js';
import { leaseCodec } from '../../messages.js';
import type { StoreConnection } from '../connection.js';
import { withRetry } from '../retry.js';
import { KEY, STREAM } from '../subjects.js';
import { decodeOrSkip } from '../subscribe.js';
import { compareAndSet } from './compare-and-set.js';

export class NatsLeases implements LeaseStore {
  readonly #broker: StoreConnection;
  readonly #bucket: KV;

  constructor(broker: StoreConnection, bucket: KV) {
    this.#broker = broker;
    this.#bucket = bucket;
  }

  async read(survey: string, shard: number): Promise<Versioned<Lease> | undefined> {
    const key = KEY.lease(survey, shard);
    const entry = await withRetry(this.#broker, () => this.#bucket.get(key));
    if (entry === null || entry.operation !== 'PUT') return undefined;
    return { value: leaseCodec.decode(entry.value), revision: entry.revision };
  }

  async write(lease: Lease, revision: number): Promise<number | undefined> {
    const key = KEY.lease(lease.survey, lease.shard);
    const bytes = leaseCodec.encode(lease);
    return await compareAndSet(this.#broker, this.#bucket, key, { bytes, revision });
  }

  async list(survey: string): Promise<readonly Versioned<Lease>[]> {
    const leases: Versioned<Lease>[] = [];
    const key = KEY.leasesOf(survey);
    const entries = await withRetry(this.#broker, () => this.#bucket.history({ key }));
    for await (const { operation, value, revision } of entries) {
      const lease = operation === 'PUT' ? decodeOrSkip(leaseCodec, value) : undefined;
      if (lease !== undefined) leases.push({ value: lease, revision });
    }
    return leases;
  }

  async purge(survey: string, before?: number): Promise<void> {
    // Does not purge up to sequence 1, which would remove nothing: nats-server 2.9.10 treats such a
    // purge as one of everything.
    if (before !== undefined && before <= 1) return;
    const filter = `${STREAM.LEASE_SUBJECTS}${KEY.leasesOf(survey)}`;
    const which = before === undefined ? { filter } : { filter, seq: before };
    await withRetry(this.#broker, () => this.#broker.manager.streams.purge(STREAM.LEASES, which));
  }
}
