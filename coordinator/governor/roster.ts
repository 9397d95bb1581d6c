/** The agents at work on a survey, as their heartbeats tell. */
import { LIMITS } from '../../shared/base/limits.js';

interface Sighting {
  /** Packets per second over the last second. */
  readonly rate: number;
  readonly replies: number;
  readonly dropped: number;
  /** Our monotonic clock. */
  readonly seenAt: number;
}

export class Roster {
  readonly #sightings = new Map<string, Sighting>();

  see(agent: string, sighting: Sighting): void {
    this.#sightings.set(agent, sighting);
  }

  /** Whether an agent has been heard of lately. */
  isPresent(agent: string, now: number): boolean {
    const seenAt = this.#sightings.get(agent)?.seenAt;
    return seenAt !== undefined && now - seenAt <= LIMITS.agentGoneMillis;
  }

  /** How many are at work, their rate together, and what all there ever were have heard. */
  summary(now: number): { agents: number; rate: number; replies: number; dropped: number } {
    const sums = { agents: 0, rate: 0, replies: 0, dropped: 0 };
    for (const [agent, { rate, replies, dropped }] of this.#sightings) {
      sums.replies += replies;
      sums.dropped += dropped;
      if (!this.isPresent(agent, now)) continue;
      sums.agents++;
      sums.rate += rate;
    }
    return sums;
  }
}
