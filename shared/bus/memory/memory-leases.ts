/** The lease store in memory: compare-and-set on increasing revisions. */
import { Channel } from '../../base/channel.js';
import type { Lease } from '../../survey/lease.js';
import type { LeaseStore, Versioned } from '../interfaces.js';
import { leaseCodec } from '../messages.js';

export class MemoryLeases implements LeaseStore {
  readonly #leases = new Map<string, Versioned<Lease>>();
  readonly #watchers = new Set<{ survey: string; channel: Channel<Versioned<Lease>> }>();
  #revision = 0;

  async read(survey: string, shard: number): Promise<Versioned<Lease> | undefined> {
    return this.#leases.get(`${survey}.${shard}`);
  }

  async write(lease: Lease, revision: number): Promise<number | undefined> {
    const key = `${lease.survey}.${lease.shard}`;
    if ((this.#leases.get(key)?.revision ?? 0) !== revision) return undefined;
    const value = leaseCodec.decode(leaseCodec.encode(lease));
    const written = { value, revision: ++this.#revision };
    this.#leases.set(key, written);
    for (const { survey, channel } of this.#watchers) {
      if (survey === lease.survey) channel.push(written);
    }
    return this.#revision;
  }

  watch(survey: string, signal: AbortSignal): AsyncIterable<Versioned<Lease>> {
    const channel = new Channel<Versioned<Lease>>(signal);
    for (const lease of this.#leases.values()) {
      if (lease.value.survey === survey) channel.push(lease);
    }
    const watcher = { survey, channel };
    this.#watchers.add(watcher);
    signal.addEventListener('abort', () => this.#watchers.delete(watcher), { once: true });
    return channel;
  }

  async purge(survey: string, before = Number.POSITIVE_INFINITY): Promise<void> {
    for (const [key, { value, revision }] of this.#leases) {
      if (value.survey === survey && revision < before) this.#leases.delete(key);
    }
  }
}
