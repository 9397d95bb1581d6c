/** All agents there are, as their last heartbeats tell, whatever survey they work on. */
import type { Clock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import { PROTOCOL } from '../../shared/base/version.js';
import type { Activity, Heartbeat } from '../../shared/bus/interfaces.js';
import type { AgentStatus } from '../../shared/survey/status.js';
import type { SurveyAgents } from './survey-agents.js';

/** One that has not been heard of for this long is no longer spoken of. */
const FORGOTTEN_MILLIS = 3_600_000;
const SWEEP_MILLIS = 60_000;

interface Known {
  readonly heartbeat: Heartbeat;
  readonly seenAt: number;
}

export class AgentRegistry {
  readonly #clock: Clock;
  readonly #agents = new Map<string, Known>();
  #sweptAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  see(heartbeat: Heartbeat): void {
    const seenAt = this.#clock.monotonic();
    this.#agents.set(heartbeat.agent, { heartbeat, seenAt });
    if (seenAt - this.#sweptAt < SWEEP_MILLIS) return;
    this.#sweptAt = seenAt;
    for (const [agent, known] of this.#agents) {
      if (seenAt - known.seenAt > FORGOTTEN_MILLIS) this.#agents.delete(agent);
    }
  }

  /** Agents at work that have not said yet that they obey a version of the exclusions. */
  waitingFor(version: number): readonly string[] {
    return this.#present()
      .filter(({ activities }) =>
        activities.some(({ exclusionsVersion }) => exclusionsVersion < version),
      )
      .map(({ agent }) => agent);
  }

  /** @param fleets of the surveys that are running */
  statuses(surveyAgents: readonly SurveyAgents[]): readonly AgentStatus[] {
    return [...this.#agents.values()].map((known) => this.#statusOf(known, surveyAgents));
  }

  #statusOf({ heartbeat, seenAt }: Known, surveyAgents: readonly SurveyAgents[]): AgentStatus {
    const { agent, vantage, version, activities } = heartbeat;
    const seenMillisAgo = this.#clock.monotonic() - seenAt;
    const sum = (read: (activity: Activity) => number) =>
      activities.reduce((total, activity) => total + read(activity), 0);
    const quarantineReason =
      surveyAgents
        .map((surveyAgents) => surveyAgents.quarantineReasonOf(agent))
        .find((reason) => reason !== '') ?? '';
    const problem = heartbeat.problem || quarantineReason || skewOf(heartbeat);
    const state =
      seenMillisAgo > LIMITS.agentTimeoutMillis
        ? 'gone'
        : quarantineReason !== ''
          ? 'paused'
          : skewOf(heartbeat) !== ''
            ? 'refused'
            : heartbeat.state;
    return {
      agent,
      vantage,
      version,
      state,
      rate: sum(({ rate }) => rate),
      granted: surveyAgents.reduce(
        (total, surveyAgents) => total + surveyAgents.grantedTo(agent),
        0,
      ),
      seenMillisAgo,
      framesReceived: sum(({ ioStats }) => ioStats.framesReceived),
      framesDropped: sum(({ ioStats }) => ioStats.framesDropped + ioStats.interfaceDropped),
      problem,
    };
  }

  #present(): readonly Heartbeat[] {
    const now = this.#clock.monotonic();
    const present = [...this.#agents.values()].filter(
      ({ seenAt }) => now - seenAt <= LIMITS.agentTimeoutMillis,
    );
    return present.map(({ heartbeat }) => heartbeat);
  }
}

function skewOf({ protocol, version }: Heartbeat): string {
  if (protocol === PROTOCOL) return '';
  return (
    `it speaks protocol ${protocol} (Transect ${version}) and this coordinator ${PROTOCOL}: ` +
    'run the same version of Transect on both'
  );
}
