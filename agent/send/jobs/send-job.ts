/** A send job, as it is posted to a sender thread. */
import type { KnownClasses } from '../../interfaces.js';

/** Positions [from, to) to be sent, and the slot of `SenderControl` for their progress. */
export interface SendJob {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  /** The key of the shard's lease. */
  readonly key: Uint8Array;
  /** If given, only positions that are silent so far are sent: the job repeats probes. */
  readonly known?: KnownClasses | undefined;
  /** True if the positions were deferred before, and are sent now. */
  readonly isDeferred?: boolean | undefined;
}

/** True for jobs of the first round of probes; others go first, and interrupt them. */
export function isFirstRound({ known, isDeferred }: SendJob): boolean {
  return known === undefined && isDeferred !== true;
}
