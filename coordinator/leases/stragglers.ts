/**
 * Straggler mitigation (Dean & Ghemawat, "MapReduce", §3.6): once no shard is left to offer, slow agents
 * release the shards that they will not finish soon, and idle agents lease them.
 */
import { type Lease, lastEpoch } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';

/**
 * A shard is released only if its agent would take longer than this to send the rest of it. For a shorter
 * rest, another lease and its cooldown cost more time than they save.
 */
const SLOW_SECONDS = 15;
/** A shard is moved to another agent at most this many times. */
const RELEASES_MAX = 2;

export class Stragglers {
  readonly #plan: Plan;
  /** Releases by shard. */
  readonly #releases = new Map<number, number>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** The shards that `agent` should release; they count as released. @param rate packets per second */
  of(agent: string, rate: number, leases: readonly Lease[]): readonly number[] {
    let ahead = 0;
    const slow: number[] = [];
    for (const lease of leases) {
      const epoch = lastEpoch(lease);
      if (lease.state !== 'held' || epoch?.agent !== agent) continue;
      const unsent = this.#plan.shard(lease.shard).to - epoch.sentUpTo;
      ahead += unsent;
      const releases = this.#releases.get(lease.shard) ?? 0;
      if (unsent === 0 || ahead <= rate * SLOW_SECONDS || releases >= RELEASES_MAX) continue;
      this.#releases.set(lease.shard, releases + 1);
      slow.push(lease.shard);
    }
    return slow;
  }
}
