/**
 * The lease service: answers the heartbeats of agents. It alone opens and changes leases; agents pull work by
 * asking for it, once a second or when they need more, for all their surveys at once.
 *
 *     heartbeat ─▶ reports of shards ─▶ leases ─▶ grants ─▶ written ─▶ reply
 */

import type { Clock } from '../shared/base/clock.js';
import { Fault } from '../shared/base/faults.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { Heartbeat, HeartbeatReply, ShardEpoch } from '../shared/bus/heartbeat.js';
import type { Exclusions } from '../shared/survey/policy/exclusions.js';
import { isOver } from '../shared/survey/survey.js';
import type { AgentRegistry } from './agents/agent-registry.js';
import { heartbeatGap, LeasePace } from './leases/lease-pace.js';
import type { SurveyAnswer } from './survey/survey-dispatch.js';
import type { SurveyRun } from './survey/survey-run.js';

export interface LeaseServiceDeps {
  readonly clock: Clock;
  /** The fencing term of the coordinator. */
  readonly term: number;
  readonly agents: AgentRegistry;
  readonly running: ReadonlyMap<string, SurveyRun>;
  readonly exclusions: Exclusions;
}

export class LeaseService {
  /** The leases that all surveys may open. */
  readonly pace: LeasePace;
  readonly #deps: LeaseServiceDeps;

  constructor(deps: LeaseServiceDeps) {
    this.#deps = deps;
    this.pace = new LeasePace(deps.clock);
  }

  /**
   * Answers a heartbeat once all that the reply says is written.
   * @throws Fault SUPERSEDED, STALE, or DEPOSED if another coordinator leads
   */
  async onHeartbeat(agent: string, heartbeat: Heartbeat): Promise<HeartbeatReply> {
    const { agents, running, term, exclusions, clock } = this.#deps;
    const receivedAt = clock.monotonic();
    agents.onHeartbeat(agent, heartbeat);
    // An agent of another version gets no work; the agent registry reports the reason.
    const runs = heartbeat.protocol === PROTOCOL ? [...running.values()] : [];
    const current = runs.filter(({ survey }) => !isOver(survey.state));
    const answers = await Promise.all(
      current.map((run) => {
        const activity = heartbeat.activities.find(({ survey }) => survey === run.survey.id);
        return run.onHeartbeat(agent, heartbeat, activity);
      }),
    );
    this.pace.onDelay(clock.monotonic() - receivedAt);
    const all = <Part extends keyof SurveyAnswer>(part: Part) =>
      answers.flatMap((answer) => answer[part] as SurveyAnswer[Part][number][]);
    return {
      term,
      protocol: PROTOCOL,
      surveys: newsFor(heartbeat, current),
      forgotten: heartbeat.known
        .filter(({ survey }) => !current.some((run) => run.survey.id === survey))
        .map(({ survey }) => survey),
      offered: current.filter(({ hasOffers }) => hasOffers).map(({ survey }) => survey.id),
      grants: all('grants'),
      leases: all('leases'),
      lost: [...all('lost'), ...shardsOfUnknown(heartbeat, current)],
      exclusionsVersion: exclusions.version,
      exclusionsHead: exclusions.headAt(exclusions.version),
      gapMillis: heartbeatGap(agents.liveCount),
    };
  }

  /** A chunk of the space of a running survey, from an octet on. @throws Fault MISSING_SPACE */
  spaceOf(hash: string): Uint8Array {
    for (const { survey, space } of this.#deps.running.values())
      if (survey.spaceHash === hash) return space;
    throw new Fault('MISSING_SPACE', 'no running survey has this target space', { value: hash });
  }
}

/** The records that the agent does not have in their current version. */
function newsFor({ known }: Heartbeat, current: readonly SurveyRun[]): HeartbeatReply['surveys'] {
  const versions = new Map(known.map(({ survey, version }) => [survey, version]));
  return current
    .filter(({ survey, version }) => versions.get(survey.id) !== version)
    .map(({ survey, version }) => ({ version, record: survey }));
}

function shardsOfUnknown(
  { activities }: Heartbeat,
  current: readonly SurveyRun[],
): readonly ShardEpoch[] {
  return activities
    .filter(({ survey }) => !current.some((run) => run.survey.id === survey))
    .flatMap(({ survey, shards }) => shards.map(({ shard, epoch }) => ({ survey, shard, epoch })));
}
