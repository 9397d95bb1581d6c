/**
 * Quarantine of agents that receive no replies. An agent in quarantine gets no rate. Its leases are revoked
 * before it is informed. Once informed, it releases them with a last checkpoint, which would keep the positions
 * settled so far as "no answer", although their replies may have been missed. After a minute it is tried
 * again, because its capture may have recovered.
 */
import { assert } from '../../shared/base/assert.js';

const QUARANTINE_MILLIS = 60_000;

interface Entry {
  readonly reason: string;
  /**
   * The time when the agent is informed, by our monotonic clock; undefined while the agent's leases are being
   * revoked.
   */
  announcedAt: number | undefined;
}

export class Quarantine {
  readonly #entries = new Map<string, Entry>();

  /** @param revokeLeases must not reject */
  async start(
    agent: string,
    reason: string,
    revokeLeases: () => Promise<void>,
    now: () => number,
  ): Promise<void> {
    assert(!this.#entries.has(agent), `${agent} is put into quarantine twice`);
    const entry: Entry = { reason, announcedAt: undefined };
    this.#entries.set(agent, entry);
    await revokeLeases();
    entry.announcedAt = now();
  }

  /** Ends the quarantine of an agent if it has lasted long enough. @returns whether it ended */
  endIfDue(agent: string, now: number): boolean {
    const announcedAt = this.#entries.get(agent)?.announcedAt;
    if (announcedAt === undefined || now - announcedAt < QUARANTINE_MILLIS) return false;
    return this.#entries.delete(agent);
  }

  has(agent: string): boolean {
    return this.#entries.has(agent);
  }

  /** Empty if the agent is not in quarantine. */
  reasonOf(agent: string): string {
    return this.#entries.get(agent)?.reason ?? '';
  }

  /** The reason as sent to the agent: empty until its leases are revoked. */
  announcedReasonOf(agent: string): string {
    const entry = this.#entries.get(agent);
    return entry?.announcedAt === undefined ? '' : entry.reason;
  }
}
