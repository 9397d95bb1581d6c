/**
 * The agent's main flow. It leases shards, sends probes at the granted rate, captures replies, publishes
 * results, and reports each shard until all its positions are settled. It stores nothing: if it dies,
 * another agent resumes each shard at its last report.
 *
 *     lease ─▶ send ═▶ (the network) ═▶ capture ─▶ record ─▶ publish ─▶ settle ─▶ report
 *
 * Three loops run until the agent has drained: heartbeats, which carry all reports and bring leases and grants;
 * reconciling, which publishes rows and prepares reports; and the coordinator's announcements.
 */

import { assert } from '../shared/base/assert.js';
import { type Clock, every } from '../shared/base/clock.js';
import { describeError } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import { oneLine } from '../shared/base/printable.js';
import { stopController } from '../shared/base/stop.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { Grant, Heartbeat, HeartbeatReply } from '../shared/bus/heartbeat.js';
import type { AgentBus } from '../shared/bus/interfaces.js';
import { isEnding } from '../shared/survey/survey.js';
import { TEXT } from '../shared/survey/text.js';
import type { Log } from '../shared/telemetry/log.js';
import { CoordinatorLink } from './coordinator-link.js';
import type { OpenNetworkIo } from './interfaces.js';
import type { JoinedSurvey } from './joined-survey.js';
import { JoinedSurveys, RETRY_MILLIS } from './joined-surveys.js';
import { CoordinatorKeys } from './policy/coordinator-keys.js';
import type { HostPolicy } from './policy/host-policy.js';
import { KnownExclusions } from './policy/known-exclusions.js';
import type { SeenExclusions } from './policy/seen-exclusions.js';
import { ShardLeaser } from './shard-leaser.js';

export interface AgentOptions {
  readonly agent: string;
  /** A random name of this process. */
  readonly session: string;
  readonly vantage: string;
  readonly version: string;
  /** Rate limit of the agent itself, packets per second; 0 for none. */
  readonly ceiling: number;
}

export interface AgentDeps {
  readonly bus: AgentBus;
  readonly clock: Clock;
  readonly log: Log;
  readonly openNetworkIo: OpenNetworkIo;
  /** The policy of this host. */
  readonly policy: HostPolicy;
  /** The exclusions that this host knew before it was restarted; undefined if they are not stored. */
  readonly seen?: SeenExclusions | undefined;
  /** Signs reports by the key of our login; undefined without one. */
  readonly sign?: ((text: string) => string) | undefined;
}

/** After the agent is quarantined in a survey, it leases no shards of that survey for this long. */
const QUARANTINE_MILLIS = 60_000;
const NETWORK_LOST = {
  code: 'NO_ROUTE',
  reason: 'an interface or an address went away; unsettled positions are released',
};

export class Agent {
  readonly surveys: JoinedSurveys;
  readonly #exclusions: KnownExclusions;
  readonly #coordinatorKeys: CoordinatorKeys;
  readonly #options: AgentOptions;
  readonly #deps: AgentDeps;
  readonly #link: CoordinatorLink;
  readonly #leaser: ShardLeaser;
  readonly #draining = stopController();
  /** Surveys with shards to lease, as of the last reply. */
  #offered: ReadonlySet<string> = new Set();
  /** The version of the exclusions that we had when the last heartbeat was sent. */
  #exclusionsAsked = 0;

  constructor(options: AgentOptions, deps: AgentDeps) {
    assert(options.ceiling >= 0, `the ceiling ${options.ceiling} is negative`);
    this.#options = options;
    this.#deps = deps;
    this.#coordinatorKeys = new CoordinatorKeys(options.agent, deps.policy.coordinators);
    this.#exclusions = new KnownExclusions({
      ...deps,
      onChange: () => {
        for (const joined of this.surveys.all) joined.setExclusions(this.#exclusions.list);
      },
      onRead: () => this.#link.hurry(), // reports the version, or shows that it is still to be read
    });
    this.surveys = new JoinedSurveys({ ...deps, agent: options.agent }, this.#exclusions.list);
    this.#link = new CoordinatorLink({
      ...deps,
      compose: () => this.#heartbeat(),
      open: (answer, heartbeat) => this.#coordinatorKeys.open(answer, heartbeat),
      apply: (heartbeat, reply) => this.#apply(heartbeat, reply),
    });
    const { agent, vantage } = options;
    const leaserDeps = { ...deps, surveys: this.surveys, onEnded: () => this.#link.hurry() };
    this.#leaser = new ShardLeaser({ agent, vantage }, leaserDeps, this.#draining.signal);
  }

  /**
   * Works until the signal aborts; then settles the probes already sent, releases the rest, and ends.
   * @throws Fault SUPERSEDED if another process uses the name of this agent
   */
  async run(signal: AbortSignal): Promise<void> {
    const draining = this.#draining.signal;
    const drained = stopController();
    signal.addEventListener('abort', () => this.#drain(), { once: true });
    if (signal.aborted) this.#drain();
    const { clock } = this.#deps;
    const loops = Promise.all([
      this.#link.run(drained.signal),
      this.#followAnnouncements(drained.signal),
      every(clock, LIMITS.settlePollMillis, drained.signal, () => this.#reconcile()),
    ]);
    const work = async () => {
      while (!draining.aborted) await clock.sleep(LIMITS.settlePollMillis, draining);
      while (this.surveys.shards.length > 0) await clock.sleep(LIMITS.settlePollMillis);
      drained.abort();
      await loops;
      await this.#link.beat(); // reports that we leave
    };
    await Promise.race([work(), loops.then(() => new Promise<never>(() => {}))]);
    for (const joined of this.surveys.all) await joined.close();
  }

  #drain(): void {
    this.#draining.abort();
    for (const shard of this.surveys.shards) shard.stop();
  }

  async #followAnnouncements(signal: AbortSignal): Promise<void> {
    for await (const _survey of this.#deps.bus.announcements(signal)) this.#link.hurry();
  }

  /** Takes what a reply says, in the order in which it matters: what we may not do comes first. */
  #apply(heartbeat: Heartbeat, reply: HeartbeatReply): void {
    const { surveys } = this;
    for (const { record, version } of reply.surveys) surveys.onSurveyChange(record, version);
    for (const { survey, shard, epoch } of reply.lost) {
      const lost = surveys.get(survey)?.held.get(shard);
      if (lost?.epoch === epoch) lost.lose();
    }
    for (const { survey, shards } of heartbeat.activities) {
      for (const report of shards) surveys.get(survey)?.held.get(report.shard)?.onAnswered(report);
    }
    for (const survey of reply.forgotten) surveys.forget(survey);
    this.#exclusions.onReply(reply, this.#exclusionsAsked);
    for (const lease of reply.leases) this.#leaser.open(lease);
    const isSafe = this.#exclusions.problem === '';
    for (const grant of reply.grants)
      this.#take(isSafe ? grant : { ...grant, rate: 0 }, heartbeat.sentAt);
    this.#offered = new Set(reply.offered);
    for (const survey of reply.offered) void this.#join(survey);
  }

  /** Joins a survey that has work for us, unless we have joined it. */
  async #join(survey: string): Promise<void> {
    const isKnown = this.surveys.get(survey) !== undefined;
    if (isKnown || !this.surveys.canLease(survey) || this.#draining.signal.aborted) return;
    if ((await this.surveys.join(survey)) !== undefined) this.#link.hurry();
  }

  #take(grant: Grant, heartbeatAt: number): void {
    const joined = this.surveys.get(grant.survey);
    if (joined === undefined) return;
    const now = this.#deps.clock.monotonic();
    const before = joined.rateAt(now);
    this.#splitCeiling(); // before the new grant applies: other surveys may have to slow down
    joined.onGrant(grant, heartbeatAt, now);
    if (grant.quarantineReason !== '') {
      const refusal = { code: '', reason: grant.quarantineReason };
      this.surveys.refuse(grant.survey, refusal, QUARANTINE_MILLIS);
    }
    // Reports the lower rate at once, because other agents can get the freed part only after this report.
    if (grant.rate < before) this.#link.hurry();
  }

  async #reconcile(): Promise<void> {
    const now = this.#deps.clock.monotonic();
    this.#splitCeiling();
    for (const joined of this.surveys.all) {
      const { survey, held } = joined;
      const isActive = this.surveys.isActive(survey.id);
      joined.checkNetwork(now);
      for (const [number, shard] of held) {
        if (isEnding(survey.state)) shard.stop();
        if (shard.isGone) held.delete(number);
        else void this.#reconcileShard(joined, number);
      }
      if (joined.shouldAskForGrant(now) || this.#shouldAskForWork(joined, now)) this.#link.hurry();
      if (joined.hasLostNetwork) this.surveys.refuse(survey.id, NETWORK_LOST, RETRY_MILLIS);
      if ((!isActive || joined.hasLostNetwork) && held.size === 0) await this.surveys.leave(joined);
    }
  }

  #shouldAskForWork(joined: JoinedSurvey, now: number): boolean {
    return this.#offered.has(joined.survey.id) && this.#leaser.wanted(joined, now) > 0;
  }

  async #reconcileShard(
    { survey, held, capturedUntil }: JoinedSurvey,
    shard: number,
  ): Promise<void> {
    try {
      await held.get(shard)?.reconcile(capturedUntil, isEnding(survey.state));
    } catch (error) {
      const details = { survey: survey.id, shard, error: describeError(error) };
      this.#deps.log.error(details, 'shard maintenance failed');
    }
  }

  /** Divides this agent's own ceiling evenly among the surveys with work. */
  #splitCeiling(): void {
    const { ceiling } = this.#options;
    if (ceiling === 0) return;
    const sharers = this.surveys.all.filter(({ hasWork }) => hasWork).length;
    for (const joined of this.surveys.all) joined.setCeiling(ceiling / Math.max(1, sharers));
  }

  #heartbeat(): Heartbeat {
    this.#splitCeiling();
    const { session, vantage, version } = this.#options;
    const now = this.#deps.clock.monotonic();
    const { all, known, problemCode } = this.surveys;
    const problem =
      this.#coordinatorKeys.problem || this.#exclusions.problem || this.surveys.problem;
    this.#exclusionsAsked = this.#exclusions.list.version;
    const isDraining = this.#draining.signal.aborted;
    return {
      vantage,
      version,
      protocol: PROTOCOL,
      session,
      sentAt: now,
      invalid: all.reduce((sum, { rejects }) => sum + (rejects['foreign'] ?? 0), 0),
      state: isDraining ? 'leaving' : problem === '' ? 'working' : 'refused',
      problem: oneLine(problem, TEXT.LINE),
      problemCode,
      wantsSignature: this.#coordinatorKeys.areNeeded,
      known,
      activities: all.map((joined) => joined.activity(now, this.#leaser.wanted(joined, now))),
    };
  }
}
