/** The record of an epoch that has just been opened. */
import { NO_FINDINGS } from '../../shared/survey/icmp-findings.js';
import { type EpochRecord, emptyEpoch } from '../../shared/survey/lease.js';

/** An agent, as its epochs record it. */
export interface Holder extends Pick<EpochRecord, 'agent' | 'vantage' | 'rulesHash'> {}

/** @param from its first position @param now wall clock */
export function openedEpoch(
  holder: Holder,
  { epoch, from, now }: { readonly epoch: number; readonly from: number; readonly now: number },
): EpochRecord {
  return {
    ...holder,
    epoch,
    ...emptyEpoch(from),
    ...NO_FINDINGS,
    sentUpTo: from,
    probesSent: 0,
    startedAt: now,
    updatedAt: now,
    versionSpans: [],
  };
}
