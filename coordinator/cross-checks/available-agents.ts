/** The agents that can check others: those that have asked for work lately. */
import type { Clock } from '../../shared/base/clock.js';

const ALIVE_MILLIS = 3000;

export class AvailableAgents {
  readonly #clock: Clock;
  /** When each has last asked. */
  readonly #askedAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  onAsked(agent: string): void {
    this.#askedAt.set(agent, this.#clock.monotonic());
  }

  /** Nobody is asked to work now, so nobody is missed. */
  pause(): void {
    for (const agent of this.#askedAt.keys()) this.onAsked(agent);
  }

  has(agent: string): boolean {
    const askedAt = this.#askedAt.get(agent);
    return askedAt !== undefined && this.#clock.monotonic() - askedAt < ALIVE_MILLIS;
  }

  /** Those that are available; the others are forgotten. */
  get all(): readonly string[] {
    for (const agent of this.#askedAt.keys()) if (!this.has(agent)) this.#askedAt.delete(agent);
    return [...this.#askedAt.keys()];
  }
}
