/** Sums over the agents of one survey: how many are at work, their rate, replies and captured frames. */
import type { Activity, IoStats } from '../../shared/bus/heartbeat.js';
import type { SurveyStatus } from '../../shared/survey/status.js';

export type ActivityTotals = Pick<
  SurveyStatus,
  'agents' | 'rate' | 'replies' | 'framesReceived' | 'framesDropped' | 'otherPort' | 'otherAddress'
>;

export class ActivitySummary {
  /** The last activity of every agent that ever worked on the survey. */
  readonly #activities = new Map<string, Activity>();
  readonly #isServing: (agent: string) => boolean;

  /** @param isServing whether an agent is alive and works on the survey */
  constructor(isServing: (agent: string) => boolean) {
    this.#isServing = isServing;
  }

  update(agent: string, activity: Activity): void {
    this.#activities.set(agent, activity);
  }

  /** Live agents with nothing left to send. */
  get idle(): readonly string[] {
    const entries = [...this.#activities];
    return entries
      .filter(([agent, { hasWork }]) => !hasWork && this.#isServing(agent))
      .map(([agent]) => agent);
  }

  /** The I/O statistics that an agent reported last. */
  ioStatsOf(agent: string): IoStats | undefined {
    return this.#activities.get(agent)?.ioStats;
  }

  /**
   * Number of agents and rate are those of live agents; replies and frames are those of all agents so far.
   */
  get totals(): ActivityTotals {
    const counts = {
      replies: 0,
      framesReceived: 0,
      framesDropped: 0,
      otherPort: 0,
      otherAddress: 0,
    };
    const sums = { agents: 0, rate: 0, ...counts };
    for (const [agent, activity] of this.#activities) {
      const { rate, ioStats } = activity;
      sums.replies += activity.replies;
      sums.otherPort += activity.otherPort;
      sums.otherAddress += activity.otherAddress;
      sums.framesReceived += ioStats.framesReceived;
      sums.framesDropped += ioStats.framesDropped + ioStats.interfaceDropped;
      if (!this.#isServing(agent)) continue;
      sums.agents++;
      sums.rate += rate;
    }
    return sums;
  }
}
