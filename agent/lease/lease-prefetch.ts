/**
 * How many shards ahead an agent leases: enough to keep sending for a second, few enough that they
 * are not missed elsewhere.
 */
import { LIMITS } from '../../shared/base/limits.js';

/** What is sent for one survey, as far as appetite goes. */
export interface LeaseDemand {
  /** Shards held: sending, waiting or cooling. */
  readonly held: { readonly size: number };
  /** Positions that are left to send. */
  readonly unsent: number;
  readonly plan: { readonly shardLength: number };
  /** Packets per second it will send, as far as can be told. */
  paceAt(now: number): number;
}

const NOTHING = { unsent: 0, plan: { shardLength: 1 }, held: { size: 0 } } as const;
/** The next shard is leased when less than this is left to send. */
const AHEAD_SECONDS = 1;
/** How often, at most and at least, an agent that has enough looks whether it still has. */
const LOOK_MILLIS = { least: 20, most: 100 } as const;

/**
 * How long what is left to send for a survey, and what is being leased, will do until its next shard
 * should be leased; 0: lease it now.
 * @param eater none where no shard of the survey has been leased yet
 * @param leasing shards that are being leased
 */
export function millisUntilNextLease(
  demand: LeaseDemand | undefined,
  leasing: number,
  now: number,
): number {
  const { least, most } = LOOK_MILLIS;
  const { unsent, plan, held } = demand ?? NOTHING;
  const pace = demand?.paceAt(now) ?? 0;
  const isFull = leasing + held.size >= LIMITS.leasesPerAgent;
  if (leasing >= LIMITS.leasingAtOnce || isFull) return most;
  const enough = unsent + leasing * plan.shardLength - Math.max(1, pace * AHEAD_SECONDS);
  if (enough < 0) return 0;
  return pace === 0 ? most : Math.min(Math.max((enough * 1000) / pace, least), most);
}
