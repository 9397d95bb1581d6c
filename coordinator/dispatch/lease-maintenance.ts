/**
 * Maintenance of a survey's leases by its coordinator: purges those below the low watermark, revokes those
 * of agents in quarantine, and repairs those that are stuck because the broker lost data.
 */
import { assert } from '../../shared/base/assert.js';
import { describeError } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { LeaseStore, ShardQueue } from '../../shared/bus/interfaces.js';
import { type Lease, lastEpoch, rewound } from '../../shared/survey/lease.js';
import type { Log } from '../../shared/telemetry/log.js';
import type { ShardTable } from '../storage/shard-table.js';

/** A lease that has not changed for this long is checked. */
const STUCK_MILLIS = 60_000;
/** Maximum number of attempts to change a lease that its holder may be changing at the same time. */
const TRIES = 10;

export interface LeaseMaintenanceDeps {
  readonly leases: LeaseStore;
  readonly work: ShardQueue;
  readonly table: ShardTable;
  /** The index of a lease's first epoch with a batch that the stream lost; undefined if none is known. */
  readonly epochWithLostBatch: (lease: Lease) => number | undefined;
  readonly log: Log;
}

export class LeaseMaintenance {
  readonly #survey: string;
  readonly #deps: LeaseMaintenanceDeps;
  /** Lease records with lower revisions belong to shards below the last published low watermark. */
  #purgeableRevision = 0;

  constructor(survey: string, deps: LeaseMaintenanceDeps) {
    this.#survey = survey;
    this.#deps = deps;
  }

  /**
   * Purges the leases of shards below the published low watermark, so that a huge survey keeps no more
   * records than a small one. If the broker repeats an old offer of such a shard, agents know by the
   * watermark that the shard is stored.
   * @param published the low watermark that agents know
   * @returns the low watermark to publish next; undefined if it has not moved
   */
  async purge(published: number): Promise<number | undefined> {
    const { leases, table } = this.#deps;
    const { storedBelow, purgeableRevision } = table;
    assert(storedBelow >= published, `the low watermark fell from ${published} to ${storedBelow}`);
    if (storedBelow === published) return undefined;
    if (this.#purgeableRevision > 0) await leases.purge(this.#survey, this.#purgeableRevision);
    this.#purgeableRevision = purgeableRevision;
    return storedBelow;
  }

  /**
   * Takes an agent's unfinished shards away. Their next epoch starts where the agent's epoch started, so even
   * positions that the agent had settled are probed again. Never rejects.
   */
  async revoke(agent: string): Promise<void> {
    const isHeld = (lease: Lease) => lastEpoch(lease)?.agent === agent && lease.state !== 'settled';
    const revoked = (lease: Lease) =>
      isHeld(lease) ? rewound(lease, lease.epochs.length - 1) : undefined;
    const held = this.#deps.table.leases.filter(isHeld);
    await Promise.all(held.map(({ shard }) => this.#change(shard, revoked)));
  }

  /**
   * Repairs leases that have been stuck for a minute. If the broker lost acknowledged batches (its host lost
   * power), the positions of the first epoch with a lost batch, and those of all later epochs, are probed
   * again. If the broker lost the offer of the shard, the shard is offered again; a duplicate offer changes
   * nothing. Never rejects.
   * @param isOffering whether shards are being offered at present
   */
  async repair(now: number, isOffering: boolean): Promise<void> {
    const { table, work, epochWithLostBatch } = this.#deps;
    for (const lease of table.takeStalled(now - STUCK_MILLIS, now, LIMITS.dispatchWindow)) {
      const lossy = epochWithLostBatch(lease);
      if (lossy !== undefined) await this.#rewind(lease, lossy);
      if (isOffering && (lossy !== undefined || lease.state !== 'settled')) {
        await work.offer(this.#survey, lease.shard);
      }
    }
  }

  async #rewind({ shard, epochs }: Lease, first: number): Promise<void> {
    const epoch = epochs[first]?.epoch;
    const details = { survey: this.#survey, shard, epoch };
    this.#deps.log.warn(details, 'the broker lost rows; their positions are probed again');
    await this.#change(shard, (lease) =>
      lease.epochs[first]?.epoch === epoch ? rewound(lease, first) : undefined,
    );
  }

  /** Changes a lease by compare-and-set; `changed` returns undefined if nothing is left to change. Never rejects. */
  async #change(shard: number, changed: (lease: Lease) => Lease | undefined): Promise<void> {
    const { leases, log } = this.#deps;
    try {
      for (let tries = TRIES; tries > 0; tries--) {
        const found = await leases.read(this.#survey, shard);
        const lease = found && changed(found.value);
        if (lease === undefined) return;
        if ((await leases.write(lease, found?.revision ?? 0)) !== undefined) return;
      }
    } catch (error) {
      const details = { survey: this.#survey, shard, error: describeError(error) };
      log.error(details, 'failed to change a lease');
    }
  }
}
