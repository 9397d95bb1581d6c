/**
 * The agent registry: the last heartbeat of every agent and when it arrived. It alone decides whether an
 * agent is alive, by a liveness timeout (`LIMITS.agentTimeoutMillis`); everybody else asks here.
 */
import { assert } from '../../shared/base/assert.js';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import { PROTOCOL } from '../../shared/base/version.js';
import type { Activity, Heartbeat } from '../../shared/bus/heartbeat.js';
import type { AgentStatus } from '../../shared/survey/status.js';
import type { SurveyAgents } from './survey-agents.js';

/** Agents without a heartbeat for this long are removed from the registry. */
const EXPIRY_MILLIS = 3_600_000;
const SWEEP_MILLIS = 60_000;
/** The agents that are alive are counted this often. */
const COUNT_MILLIS = 1000;

interface Entry {
  readonly agent: string;
  readonly heartbeat: Heartbeat;
  /** Our monotonic clock. */
  readonly lastSeenAt: number;
  /** Sessions of earlier processes under this name. */
  readonly ended: ReadonlySet<string>;
}

/** Earlier sessions that are remembered. */
const SESSIONS_MAX = 16;

export class AgentRegistry {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  #live = { at: Number.NEGATIVE_INFINITY, count: 0 };
  #sweptAt = 0;

  constructor(clock: Clock) {
    assert(EXPIRY_MILLIS > LIMITS.agentTimeoutMillis, 'agents expire before they count as dead');
    this.#clock = clock;
  }

  /**
   * Records a heartbeat.
   * @throws Fault SUPERSEDED if a later process uses the agent's name, STALE if a later heartbeat has arrived
   */
  onHeartbeat(agent: string, heartbeat: Heartbeat): void {
    const lastSeenAt = this.#clock.monotonic();
    const known = this.#entries.get(agent);
    const { session, sentAt } = heartbeat;
    if (known?.ended.has(session)) {
      throw new Fault('SUPERSEDED', 'another process uses the name of this agent', {
        value: agent,
      });
    }
    const isSame = known?.heartbeat.session === session;
    if (isSame && sentAt <= known.heartbeat.sentAt) {
      throw new Fault('STALE', 'a later heartbeat of this agent has arrived', { value: agent });
    }
    const ended =
      known === undefined || isSame
        ? (known?.ended ?? new Set<string>())
        : new Set([...known.ended, known.heartbeat.session].slice(-SESSIONS_MAX));
    this.#entries.set(agent, { agent, heartbeat, lastSeenAt, ended });
    if (lastSeenAt - this.#sweptAt < SWEEP_MILLIS) return;
    this.#sweptAt = lastSeenAt;
    for (const [name, entry] of this.#entries) {
      if (lastSeenAt - entry.lastSeenAt > EXPIRY_MILLIS) this.#entries.delete(name);
    }
  }

  /** The number of agents that are alive, or were so less than a second ago. */
  get liveCount(): number {
    const now = this.#clock.monotonic();
    if (now - this.#live.at >= COUNT_MILLIS) {
      const count = [...this.#entries.values()].filter((entry) => this.#isFresh(entry)).length;
      this.#live = { at: now, count };
    }
    return this.#live.count;
  }

  /** True while an agent is alive and its last heartbeat reports activity for the survey. */
  isServing(agent: string, survey: string): boolean {
    const entry = this.#entries.get(agent);
    if (!this.#isFresh(entry)) return false;
    return entry?.heartbeat.activities.some((activity) => activity.survey === survey) ?? false;
  }

  /** Live agents at work that have not yet acknowledged a version of the exclusions. */
  withoutExclusions(version: number): readonly string[] {
    const live = [...this.#entries.values()].filter((entry) => this.#isFresh(entry));
    return live
      .filter(({ heartbeat }) =>
        heartbeat.activities.some((each) => each.exclusionsVersion < version),
      )
      .map(({ agent }) => agent);
  }

  /** The status of every agent in the registry. @param surveyAgents the agents of each running survey */
  statuses(surveyAgents: readonly SurveyAgents[]): readonly AgentStatus[] {
    return [...this.#entries.values()].map((entry) => this.#statusOf(entry, surveyAgents));
  }

  #statusOf(entry: Entry, surveyAgents: readonly SurveyAgents[]): AgentStatus {
    const { agent } = entry;
    const { vantage, version, activities, problem, problemCode } = entry.heartbeat;
    const sum = (read: (activity: Activity) => number) =>
      activities.reduce((total, activity) => total + read(activity), 0);
    const first = (read: (agents: SurveyAgents) => string) =>
      surveyAgents.map(read).find((each) => each !== '') ?? '';
    const quarantine = first((agents) => agents.quarantineReasonOf(agent));
    const unusual = first((agents) => agents.unusualHitRateOf(agent));
    return {
      agent,
      vantage,
      version,
      state: this.#stateOf(entry, quarantine),
      rate: sum(({ rate }) => rate),
      granted: surveyAgents.reduce((total, each) => total + each.grantedTo(agent), 0),
      seenMillisAgo: this.#clock.monotonic() - entry.lastSeenAt,
      framesReceived: sum(({ ioStats }) => ioStats.framesReceived),
      framesDropped: sum(({ ioStats }) => ioStats.framesDropped + ioStats.interfaceDropped),
      problem: problem || quarantine || versionSkewOf(entry.heartbeat) || unusual,
      problemCode: problemCode || (versionSkewOf(entry.heartbeat) === '' ? '' : 'VERSION_SKEW'),
    };
  }

  #stateOf(entry: Entry, quarantine: string): AgentStatus['state'] {
    if (!this.#isFresh(entry)) return 'gone';
    if (quarantine !== '') return 'quarantined';
    return versionSkewOf(entry.heartbeat) === '' ? entry.heartbeat.state : 'refused';
  }

  #isFresh(entry: Entry | undefined): boolean {
    if (entry === undefined) return false;
    return this.#clock.monotonic() - entry.lastSeenAt <= LIMITS.agentTimeoutMillis;
  }
}

function versionSkewOf({ protocol, version }: Heartbeat): string {
  if (protocol === PROTOCOL) return '';
  return (
    `the agent speaks protocol ${protocol} (Transect ${version}), the coordinator ${PROTOCOL}: ` +
    'run the same version of Transect on both'
  );
}
