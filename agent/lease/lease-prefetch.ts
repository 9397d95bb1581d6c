/**
 * Lease prefetch: how many shards an agent leases ahead. Enough to keep sending for a second, and few enough
 * that other agents find work.
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

const NO_DEMAND = { unsent: 0, plan: { shardLength: 1 }, held: { size: 0 } } as const;
/** The next shard is leased when less than this is left to send. */
const AHEAD_SECONDS = 1;
/** Bounds of the result. */
const POLL_MILLIS = { least: 20, most: 100 } as const;

/**
 * Milliseconds until the next shard should be leased; 0: now.
 * @param demand undefined if no shard of the survey has been leased yet
 * @param leasing shards that are being leased
 */
export function millisUntilNextLease(
  demand: LeaseDemand | undefined,
  leasing: number,
  now: number,
): number {
  const { least, most } = POLL_MILLIS;
  const { unsent, plan, held } = demand ?? NO_DEMAND;
  const pace = demand?.paceAt(now) ?? 0;
  const isFull = leasing + held.size >= LIMITS.leasesPerAgent;
  if (leasing >= LIMITS.leasingAtOnce || isFull) return most;
  const surplus = unsent + leasing * plan.shardLength - Math.max(1, pace * AHEAD_SECONDS);
  if (surplus < 0) return 0;
  return pace === 0 ? most : Math.min(Math.max((surplus * 1000) / pace, least), most);
}
