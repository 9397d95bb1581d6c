/**
 * Who coordinates, where several could: one leads, the others stand by. The leader writes a record
 * once a second, each time by compare-and-set on its last one. One that could not write for three
 * seconds no longer leads and falls silent; one that stands by and sees no sign of life for four and a
 * half takes over. Both go by their own monotonic clocks, so no clocks are compared, and no two lead at once but
 * for a process that was stopped: what such a one still writes does not count (see `journal.ts`).
 */
import { type Clock, every } from '../shared/base/clock.js';
import { stopController } from '../shared/base/stop.js';
import type { Leader, LeaderStore, Versioned } from '../shared/bus/interfaces.js';
import type { Log } from '../shared/telemetry/log.js';

const RENEW_MILLIS = 1000;
const LOOK_MILLIS = 250;
/** Counted from before the last successful renewal was sent. */
const LEADS_MILLIS = 3000;
/** Counted from when the last renewal was seen; longer than any leader believes in itself. */
const SILENT_MILLIS = 4500;

export interface ElectionDeps {
  readonly seat: LeaderStore;
  readonly clock: Clock;
  readonly log: Log;
  /** The highest term that the folder of surveys knows of. */
  readonly terms: { highest(): Promise<number>; note(term: number): Promise<void> };
}

/**
 * Stands by until it is our turn, leads as long as it lasts, and stands by again, until `signal`
 * aborts. @param reign leads until its signal aborts
 */
export async function runElection(
  id: string,
  deps: ElectionDeps,
  signal: AbortSignal,
  onStartedLeading: (term: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { seat, clock, log, terms } = deps;
  let seen: { revision: number; at: number } | undefined;
  while (!signal.aborted) {
    const found = await seat.read();
    const now = clock.monotonic();
    if (found !== undefined && found.revision !== seen?.revision) {
      if (seen === undefined && !found.value.resigned) {
        log.info({ leader: found.value.id, term: found.value.term }, 'standing by');
      }
      seen = { revision: found.revision, at: now };
    }
    // Our own record is of a reign that is over.
    const isFree = found === undefined || found.value.resigned || found.value.id === id;
    if (isFree || now - (seen?.at ?? now) >= SILENT_MILLIS) {
      // A broker that forgot everything forgot how many terms there were; journals have not.
      const before = Math.max(found?.value.term ?? 0, await terms.highest());
      const leader: Leader = { id, term: before + 1, resigned: false };
      const revision = await seat.write(leader, found?.revision ?? 0);
      if (revision !== undefined) {
        log.info({ term: leader.term }, 'leading');
        await terms.note(leader.term);
        await keepLeading({ value: leader, revision }, deps, signal, now, onStartedLeading);
        seen = undefined;
        continue;
      }
    }
    await clock.sleep(LOOK_MILLIS, signal);
  }
}

/** Leads, renewing the record, until the signal aborts or it cannot be renewed. */
async function keepLeading(
  won: Versioned<Leader>,
  { seat, clock, log }: ElectionDeps,
  signal: AbortSignal,
  wonAt: number,
  onStartedLeading: (term: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  let revision: number | undefined = won.revision;
  let leadsUntil = wonAt + LEADS_MILLIS;
  const over = stopController();
  const end = () => over.abort();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  const renewing = every(clock, RENEW_MILLIS, over.signal, async () => {
    const askedAt = clock.monotonic();
    revision = await seat.write(won.value, revision ?? 0);
    if (revision === undefined) end();
    else leadsUntil = askedAt + LEADS_MILLIS;
  });
  renewing.catch(end);
  const watching = every(clock, LOOK_MILLIS, over.signal, () => {
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
  // Left in order: whoever stands by need not wait.
  else if (revision !== undefined) {
    await renewing;
    await seat.write({ ...won.value, resigned: true }, revision);
  }
}
