/** The lease book in memory: compare-and-set on revisions that only grow. */
import { Channel } from '../../base/channel.js';
import type { Lease } from '../../survey/lease.js';
import { leaseCodec } from '../messages.js';
import type { LeaseBook, Versioned } from '../ports.js';

export class MemoryLeases implements LeaseBook {
  readonly #leases = new Map<string, Versioned<Lease>>();
  readonly #watchers = new Set<{ survey: string; channel: Channel<Lease> }>();
  #revision = 0;

  async read(survey: string, shard: number): Promise<Versioned<Lease> | undefined> {
    return this.#leases.get(`${survey}.${shard}`);
  }

  async write(lease: Lease, revision: number): Promise<number | undefined> {
    const key = `${lease.survey}.${lease.shard}`;
    if ((this.#leases.get(key)?.revision ?? 0) !== revision) return undefined;
    const value = leaseCodec.decode(leaseCodec.encode(lease));
    this.#leases.set(key, { value, revision: ++this.#revision });
    for (const { survey, channel } of this.#watchers) {
      if (survey === lease.survey) channel.push(value);
    }
    return this.#revision;
  }

  watch(survey: string, signal: AbortSignal): AsyncIterable<Lease> {
    const channel = new Channel<Lease>(signal);
    for (const { value } of this.#leases.values()) {
      if (value.survey === survey) channel.push(value);
    }
    const watcher = { survey, channel };
    this.#watchers.add(watcher);
    signal.addEventListener('abort', () => this.#watchers.delete(watcher), { once: true });
    return channel;
  }

  async forget(survey: string): Promise<void> {
    for (const [key, { value }] of this.#leases) {
      if (value.survey === survey) this.#leases.delete(key);
    }
  }
}
