/** The agents at work on a survey, as their heartbeats tell. */
import { LIMITS } from '../../shared/base/limits.js';
import type { Equipment } from '../../shared/bus/ports.js';
import type { SurveyStatus } from '../../shared/survey/status.js';

export type RosterSummary = Pick<
  SurveyStatus,
  'agents' | 'rate' | 'replies' | 'received' | 'dropped'
>;

interface Sighting {
  /** Packets per second over the last second. */
  readonly rate: number;
  readonly replies: number;
  readonly equipment: Equipment;
  /** Has targets left to send. */
  readonly wants: boolean;
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

  /** Who has nothing left to send. */
  idleAt(now: number): readonly string[] {
    const names = [...this.#sightings.keys()];
    return names.filter((name) => this.isPresent(name, now) && !this.#sightings.get(name)?.wants);
  }

  /** What an agent sent and listened with, as it last said. */
  equipmentOf(agent: string): Equipment | undefined {
    return this.#sightings.get(agent)?.equipment;
  }

  /** How many are at work, their rate together, and what all there ever were have heard. */
  summary(now: number): RosterSummary {
    const sums = { agents: 0, rate: 0, replies: 0, received: 0, dropped: 0 };
    for (const [agent, { rate, replies, equipment }] of this.#sightings) {
      sums.replies += replies;
      sums.received += equipment.received;
      sums.dropped += equipment.dropped + equipment.interfaceDropped;
      if (!this.isPresent(agent, now)) continue;
      sums.agents++;
      sums.rate += rate;
    }
    return sums;
  }
}
