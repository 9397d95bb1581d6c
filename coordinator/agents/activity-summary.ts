/** The agents at work on a survey, as their heartbeats tell. */
import { LIMITS } from '../../shared/base/limits.js';
import type { IoStats } from '../../shared/bus/interfaces.js';
import type { SurveyStatus } from '../../shared/survey/status.js';

export type ActivityTotals = Pick<
  SurveyStatus,
  'agents' | 'rate' | 'replies' | 'framesReceived' | 'framesDropped'
>;

interface Sighting {
  /** Packets per second over the last second. */
  readonly rate: number;
  readonly replies: number;
  readonly ioStats: IoStats;
  /** Has targets left to send. */
  readonly hasWork: boolean;
  /** Our monotonic clock. */
  readonly seenAt: number;
}

export class ActivitySummary {
  readonly #sightings = new Map<string, Sighting>();

  update(agent: string, sighting: Sighting): void {
    this.#sightings.set(agent, sighting);
  }

  /** Whether an agent has been heard of lately. */
  isAlive(agent: string, now: number): boolean {
    const seenAt = this.#sightings.get(agent)?.seenAt;
    return seenAt !== undefined && now - seenAt <= LIMITS.agentTimeoutMillis;
  }

  /** Who has nothing left to send. */
  idleAt(now: number): readonly string[] {
    const names = [...this.#sightings.keys()];
    return names.filter((name) => this.isAlive(name, now) && !this.#sightings.get(name)?.hasWork);
  }

  /** What an agent sent and listened with, as it last said. */
  ioStatsOf(agent: string): IoStats | undefined {
    return this.#sightings.get(agent)?.ioStats;
  }

  /** How many are at work, their rate together, and what all there ever were have heard. */
  summary(now: number): ActivityTotals {
    const sums = { agents: 0, rate: 0, replies: 0, framesReceived: 0, framesDropped: 0 };
    for (const [agent, { rate, replies, ioStats }] of this.#sightings) {
      sums.replies += replies;
      sums.framesReceived += ioStats.framesReceived;
      sums.framesDropped += ioStats.framesDropped + ioStats.interfaceDropped;
      if (!this.isAlive(agent, now)) continue;
      sums.agents++;
      sums.rate += rate;
    }
    return sums;
  }
}
