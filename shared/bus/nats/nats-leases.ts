/**
 * The lease book in a key-value bucket. A write whose answer is lost may have happened: it is looked
 * up by content before it is called lost, so that an agent never fences itself.
 */
import type { KV } from '@nats-io/kv';
import type { Lease } from '../../survey/lease.js';
import { leaseCodec } from '../messages.js';
import type { LeaseBook, Versioned } from '../ports.js';
import { API_ERROR, isApiError, type Link, patiently } from './link.js';
import { KEY, STREAM } from './names.js';
import { watchBucket } from './subscribe.js';

export class NatsLeases implements LeaseBook {
  readonly #link: Link;
  readonly #bucket: KV;

  constructor(link: Link, bucket: KV) {
    this.#link = link;
    this.#bucket = bucket;
  }

  async read(survey: string, shard: number): Promise<Versioned<Lease> | undefined> {
    const key = KEY.lease(survey, shard);
    const entry = await patiently(this.#link, () => this.#bucket.get(key));
    if (entry === null || entry.operation !== 'PUT') return undefined;
    return { value: leaseCodec.decode(entry.value), revision: entry.revision };
  }

  async write(lease: Lease, revision: number): Promise<number | undefined> {
    const key = KEY.lease(lease.survey, lease.shard);
    const bytes = leaseCodec.encode(lease);
    try {
      const previous = { previousSeq: revision };
      return await patiently(this.#link, () => this.#bucket.put(key, bytes, previous));
    } catch (error) {
      if (!isApiError(error, API_ERROR.WRONG_LAST_SEQUENCE)) throw error;
      const entry = await patiently(this.#link, () => this.#bucket.get(key));
      const isOurs = entry !== null && Buffer.compare(entry.value, bytes) === 0;
      return isOurs ? entry.revision : undefined;
    }
  }

  watch(survey: string, signal: AbortSignal): AsyncIterable<Lease> {
    return watchBucket(this.#link, this.#bucket, KEY.leasesOf(survey), leaseCodec, signal);
  }

  async forget(survey: string): Promise<void> {
    const filter = `${STREAM.LEASE_SUBJECTS}${KEY.leasesOf(survey)}`;
    await patiently(this.#link, () => this.#link.manager.streams.purge(STREAM.LEASES, { filter }));
  }
}
