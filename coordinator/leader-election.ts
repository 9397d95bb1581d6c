/**
 * Leader election with fencing terms: of several coordinators on one broker, one leads, the others stand by.
 * The leader renews a record once a second, by compare-and-set on its last write. A leader that could not
 * renew for 3 s stops; a standby that sees no renewal for 4.5 s takes over. Both measure by their own
 * monotonic clocks, so no clocks are compared, and two leaders overlap only if a process was suspended: what
 * such a process still writes is fenced by its term (see `storage/journal.ts`).
 */
import { assert } from '../shared/base/assert.js';
import { type Clock, every } from '../shared/base/clock.js';
import { stopController } from '../shared/base/stop.js';
import type { Leader, LeaderStore, Versioned } from '../shared/bus/interfaces.js';
import type { Log } from '../shared/telemetry/log.js';

const RENEW_MILLIS = 1000;
const POLL_MILLIS = 250;
/** Measured from before the last successful renewal was sent. */
const LEASE_MILLIS = 3000;
/**
 * Measured from when the last renewal was seen. It is longer than the time for which a leader leads without a
 * renewal.
 */
const TAKEOVER_MILLIS = 4500;
assert(TAKEOVER_MILLIS > LEASE_MILLIS + POLL_MILLIS, 'a standby takes over while the leader leads');

export interface ElectionDeps {
  readonly leader: LeaderStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Reads the highest term known to the data folder, and stores a new one there. */
  readonly terms: { highest(): Promise<number>; record(term: number): Promise<void> };
}

/**
 * Stands by until it can lead, leads as long as it can, and stands by again, until `signal` aborts.
 * @param onStartedLeading leads until its signal aborts
 */
export async function runElection(
  id: string,
  deps: ElectionDeps,
  signal: AbortSignal,
  onStartedLeading: (term: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { leader: store, clock, log, terms } = deps;
  let seen: { revision: number; at: number } | undefined;
  while (!signal.aborted) {
    const found = await store.read();
    const now = clock.monotonic();
    if (found !== undefined && found.revision !== seen?.revision) {
      if (seen === undefined && !found.value.resigned) {
        log.info({ leader: found.value.id, term: found.value.term }, 'standing by');
      }
      seen = { revision: found.revision, at: now };
    }
    // A broker that came back without the record: the coordinator that led before has all data, and leads on.
    const isLost = found === undefined && seen !== undefined;
    if (isLost && seen?.revision !== 0) seen = { revision: 0, at: now };
    // A record of ours belongs to a term that is over.
    const isFree =
      (found === undefined && !isLost) || found?.value.resigned === true || found?.value.id === id;
    if (isFree || now - (seen?.at ?? now) >= TAKEOVER_MILLIS) {
      // A broker with an empty store does not know the terms that journals know.
      const before = Math.max(found?.value.term ?? 0, await terms.highest());
      const leader: Leader = { id, term: before + 1, resigned: false };
      const revision = await store.write(leader, found?.revision ?? 0);
      if (revision !== undefined) {
        log.info({ term: leader.term }, 'leading');
        await terms.record(leader.term);
        await keepLeading({ value: leader, revision }, deps, signal, now, onStartedLeading);
        seen = undefined;
        continue;
      }
    }
    await clock.sleep(POLL_MILLIS, signal);
  }
}

/**
 * Calls `onStartedLeading`, and renews the leader record until the signal is aborted or the record cannot be
 * renewed.
 */
async function keepLeading(
  won: Versioned<Leader>,
  { leader: store, clock, log }: ElectionDeps,
  signal: AbortSignal,
  wonAt: number,
  onStartedLeading: (term: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  let revision: number | undefined = won.revision;
  let leadsUntil = wonAt + LEASE_MILLIS;
  const over = stopController();
  const end = () => over.abort();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  const renewing = every(clock, RENEW_MILLIS, over.signal, async () => {
    const sentAt = clock.monotonic();
    revision = await store.write(won.value, revision ?? 0);
    if (revision === undefined) end();
    else leadsUntil = sentAt + LEASE_MILLIS;
  });
  renewing.catch(end);
  const watching = every(clock, POLL_MILLIS, over.signal, () => {
    if (clock.monotonic() >= leadsUntil) end();
  });
  try {
    await onStartedLeading(won.value.term, over.signal);
  } finally {
    end();
    await watching;
    signal.removeEventListener('abort', end);
  }
  if (!signal.aborted) log.warn({ term: won.value.term }, 'no longer leading');
  // Resign, so that a standby can take over at once.
  else if (revision !== undefined) {
    await renewing;
    await store.write({ ...won.value, resigned: true }, revision);
  }
}
