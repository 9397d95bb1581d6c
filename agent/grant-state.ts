/**
 * The grant of one survey at an agent: which one is in force, when it expires, and when to send an extra
 * heartbeat to get one. A grant expires `ttlMillis` after the heartbeat that it answers, on the agent's own
 * clock.
 */
import { assert } from '../shared/base/assert.js';
import { LIMITS } from '../shared/base/limits.js';
import type { Grant } from '../shared/bus/heartbeat.js';

/**
 * Interval of extra heartbeats while there is work and no grant. After `ASKS_MAX` of them, only the regular
 * heartbeats are sent.
 */
const ASK_MILLIS = 100;
const ASKS_MAX = 20;

export class GrantState {
  #grant: Grant | undefined;
  /** By our monotonic clock. */
  #expiresAt = 0;
  #askAt = 0;
  #asks = 0;

  /** The latest grant, in force or expired. */
  get latest(): Grant | undefined {
    return this.#grant;
  }
  /** When the latest grant expires, or expired, by our monotonic clock. */
  get expiresAt(): number {
    return this.#expiresAt;
  }
  /** Serial of the latest grant; 0 before the first one. */
  get serial(): number {
    return this.#grant?.serial ?? 0;
  }

  /** Packets per second granted at `now`. */
  rateAt(now: number): number {
    return this.#isInForce(now) ? (this.#grant?.rate ?? 0) : 0;
  }

  /**
   * Takes a grant, unless a later one is in force.
   * @param heartbeatAt when the heartbeat was sent that it answers
   * @returns true if it was taken
   */
  accept(grant: Grant, heartbeatAt: number, now: number): boolean {
    assert(
      grant.ttlMillis <= LIMITS.grantMillis,
      `a grant lasts ${grant.ttlMillis} ms, which is longer than allowed`,
    );
    if (grant.serial <= this.serial && this.#isInForce(now)) return false;
    this.#grant = grant;
    this.#expiresAt = heartbeatAt + grant.ttlMillis;
    return true;
  }

  /**
   * True if an extra heartbeat should be sent now, to get a grant.
   * @param hasWork whether there is anything to send
   */
  shouldAsk(hasWork: boolean, now: number): boolean {
    if (!hasWork || this.rateAt(now) > 0) {
      this.#asks = 0;
      return false;
    }
    if (now < this.#askAt || this.#asks >= ASKS_MAX) return false;
    this.#askAt = now + ASK_MILLIS;
    this.#asks++;
    return true;
  }

  #isInForce(now: number): boolean {
    return now < this.#expiresAt;
  }
}
