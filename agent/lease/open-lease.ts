/**
 * Opens a lease by compare-and-set: of several agents that try at the same time, one gets it, whatever the
 * work queue delivers.
 */
import type { Clock } from '../../shared/base/clock.js';
import type { LeaseStore } from '../../shared/bus/interfaces.js';
import { NO_FINDINGS } from '../../shared/survey/icmp-findings.js';
import {
  type EpochRecord,
  emptyEpoch,
  type Lease,
  lastEpoch,
  settledUpToOf,
} from '../../shared/survey/lease.js';
import type { Shard } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import { HeldLease } from './held-lease.js';

export interface Holder {
  readonly agent: string;
  readonly vantage: string;
  /** Hash of the agent's own blocklist rules; empty if it has none. */
  readonly rulesHash: string;
}

export type OpenOutcome =
  | { readonly outcome: 'held'; readonly lease: HeldLease }
  /** Nothing is left to do for this shard. */
  | { readonly outcome: 'settled' }
  /** Another agent was faster. */
  | { readonly outcome: 'taken' };

/**
 * Opens the next epoch of a shard; it starts at the position up to which the previous epoch had settled.
 * @param survey a lease whose last epoch is before the survey's `firstEpoch` counts as empty
 */
export async function openLease(
  leases: LeaseStore,
  survey: Pick<Survey, 'id' | 'firstEpoch'>,
  shard: Shard,
  holder: Holder,
  clock: Clock,
): Promise<OpenOutcome> {
  const found = await leases.read(survey.id, shard.number);
  const last = found && lastEpoch(found.value);
  const known = last !== undefined && last.epoch >= survey.firstEpoch ? found?.value : undefined;
  if (known?.state === 'settled') return { outcome: 'settled' };
  const from = settledUpToOf(known, shard);
  const now = clock.wall();
  const record: EpochRecord = {
    ...holder,
    epoch: Math.max(survey.firstEpoch, (last?.epoch ?? 0) + 1),
    ...emptyEpoch(from),
    ...NO_FINDINGS,
    sentUpTo: from,
    probesSent: 0,
    startedAt: now,
    updatedAt: now,
    versionSpans: [],
  };
  // Drops epochs in which nothing was sent, so that the record of a shard with many holders stays small.
  const earlier = (known?.epochs ?? []).filter(({ sentUpTo, from: start }) => sentUpTo > start);
  const epochs = [...earlier, record];
  const lease: Lease = { survey: survey.id, shard: shard.number, state: 'held', epochs };
  const revision = await leases.write(lease, found?.revision ?? 0);
  if (revision === undefined) return { outcome: 'taken' };
  return { outcome: 'held', lease: new HeldLease(leases, lease, revision, clock) };
}
