/**
 * Lease prefetch: how many shards an agent leases ahead. Enough to keep sending until the heartbeat after the next
 * one is answered, and few enough that other agents find work.
 */
import { LIMITS } from '../../shared/base/limits.js';

/** The part of a joined survey that the prefetch needs. */
export interface LeaseDemand {
  /** Shards held, whether sending, waiting or cooling down. */
  readonly held: { readonly size: number };
  /** Positions left to send. */
  readonly unsent: number;
  readonly plan: { readonly shardLength: number };
  /** Packets per second it is expected to send. */
  paceAt(now: number): number;
}

/** More shards are leased when less than this is left to send. */
const AHEAD_SECONDS = 1;

/** The number of shards to ask for now. */
export function shardsWanted(demand: LeaseDemand, now: number): number {
  const { unsent, plan, held } = demand;
  const missing = Math.max(1, demand.paceAt(now) * AHEAD_SECONDS) - unsent;
  const room = Math.min(LIMITS.leasingAtOnce, LIMITS.leasesPerAgent - held.size);
  return Math.max(0, Math.min(Math.ceil(missing / plan.shardLength), room));
}
