/** The lease store in memory: compare-and-set on increasing revisions. */
import type { Lease } from '../../survey/lease.js';
import type { LeaseStore, Versioned } from '../interfaces.js';
import { leaseCodec } from '../messages.js';

export class MemoryLeases implements LeaseStore {
  readonly #leases = new Map<string, Versioned<Lease>>();
  #revision = 0;

  async read(survey: string, shard: number): Promise<Versioned<Lease> | undefined> {
    return this.#leases.get(`${survey}.${shard}`);
  }

  async write(lease: Lease, revision: number): Promise<number | undefined> {
    const key = `${lease.survey}.${lease.shard}`;
    if ((this.#leases.get(key)?.revision ?? 0) !== revision) return undefined;
    const value = leaseCodec.decode(leaseCodec.encode(lease));
    this.#leases.set(key, { value, revision: ++this.#revision });
    return this.#revision;
  }

  async list(survey: string): Promise<readonly Versioned<Lease>[]> {
    return [...this.#leases.values()].filter(({ value }) => value.survey === survey);
  }

  async purge(survey: string, before = Number.POSITIVE_INFINITY): Promise<void> {
    for (const [key, { value, revision }] of this.#leases) {
      if (value.survey === survey && revision < before) this.#leases.delete(key);
    }
  }
}
