/**
 * Towards the end of a survey, when nothing is left to offer, shards that slow agents hold are handed
 * back, so that those who are idle finish them.
 */
import { type Lease, lastEpoch } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';

/** A remainder that takes longer than this is worth another lease and its cooldown. */
const SLOW_SECONDS = 15;

/** A shard that has been handed back so often stays where it is. */
const HANDED_BACK_MAX = 2;

export interface Held {
  readonly underWay: readonly Lease[];
  readonly plan: Plan;
  /** How often each shard has been handed back. */
  readonly handedBack: Map<number, number>;
}

/** The shards that `agent` holds and will not have sent soon. @param rate packets per second it may send */
export function slowShards(
  agent: string,
  rate: number,
  { underWay, plan, handedBack }: Held,
): readonly number[] {
  let ahead = 0;
  const slow: number[] = [];
  for (const lease of underWay) {
    const report = lastEpoch(lease);
    if (lease.state !== 'held' || report?.agent !== agent) continue;
    const left = plan.shard(lease.shard).to - report.sentUpTo;
    ahead += left;
    const times = handedBack.get(lease.shard) ?? 0;
    if (left === 0 || ahead <= rate * SLOW_SECONDS || times >= HANDED_BACK_MAX) continue;
    handedBack.set(lease.shard, times + 1);
    slow.push(lease.shard);
  }
  return slow;
}
