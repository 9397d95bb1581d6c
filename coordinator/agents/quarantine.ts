/**
 * Quarantine of agents that receive no replies, or report what is not possible. An agent in quarantine gets neither
 * work nor rate. Its leases are revoked first, and it learns of it afterwards: its last reports would keep the
 * positions settled so far as "no answer", although their replies may have been missed. After a minute it is tried
 * again, because its capture may have recovered.
 */
import { assert } from '../../shared/base/assert.js';

const QUARANTINE_MILLIS = 60_000;

interface Entry {
  readonly reason: string;
  /** Our monotonic clock; infinite if it does not end. */
  readonly endsAt: number;
}

export class Quarantine {
  readonly #entries = new Map<string, Entry>();

  /** Starts the quarantine of an agent whose leases have been revoked. */
  start(agent: string, reason: string, now: number): void {
    assert(!this.#entries.has(agent), `${agent} is put into quarantine twice`);
    this.#entries.set(agent, { reason, endsAt: now + QUARANTINE_MILLIS });
  }

  /** Puts an agent into quarantine for the rest of the survey. */
  keep(agent: string, reason: string): void {
    this.#entries.set(agent, { reason, endsAt: Number.POSITIVE_INFINITY });
  }

  /** Ends the quarantine of an agent if it has lasted long enough. @returns whether it ended */
  endIfDue(agent: string, now: number): boolean {
    const endsAt = this.#entries.get(agent)?.endsAt;
    if (endsAt === undefined || now < endsAt) return false;
    return this.#entries.delete(agent);
  }

  has(agent: string): boolean {
    return this.#entries.has(agent);
  }

  /** Empty if the agent is not in quarantine. */
  reasonOf(agent: string): string {
    return this.#entries.get(agent)?.reason ?? '';
  }
}
