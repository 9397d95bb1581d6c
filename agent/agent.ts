/**
 * The agent's main flow. It leases shards, sends probes at the granted rate, captures replies, publishes
 * results, and completes each shard once all its positions are settled. It stores nothing: if it dies,
 * another agent resumes each shard at its last checkpoint.
 *
 *     offer ─▶ lease ─▶ send ═▶ (the network) ═▶ capture ─▶ record ─▶ publish ─▶ settle ─▶ complete
 *
 * Five loops run until the agent has drained: reconcile, heartbeat, grants, surveys, exclusions; the shard
 * leaser adds one for each survey.
 */

import { assert } from '../shared/base/assert.js';
import { type Clock, every } from '../shared/base/clock.js';
import { describeError } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import { oneLine } from '../shared/base/printable.js';
import { stopController } from '../shared/base/stop.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { Grant, Heartbeat } from '../shared/bus/heartbeat.js';
import type { Bus } from '../shared/bus/interfaces.js';
import { Exclusions } from '../shared/survey/policy/exclusions.js';
import { isEnding, isOver } from '../shared/survey/survey.js';
import { TEXT } from '../shared/survey/text.js';
import type { Log } from '../shared/telemetry/log.js';
import type { OpenNetworkIo } from './interfaces.js';
import type { JoinedSurvey } from './joined-survey.js';
import { JoinedSurveys, RETRY_MILLIS } from './joined-surveys.js';
import { ShardLeaser } from './shard-leaser.js';

export interface AgentOptions {
  readonly agent: string;
  readonly vantage: string;
  readonly version: string;
  /** Rate limit of the agent itself, packets per second; 0 for none. */
  readonly ceiling: number;
}

export interface AgentDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly openNetworkIo: OpenNetworkIo;
}

/** After the agent is quarantined in a survey, it leases no shards of that survey for this long. */
const QUARANTINE_MILLIS = 60_000;
const NETWORK_LOST = {
  code: 'NO_ROUTE',
  reason: 'an interface or an address went away; unsettled positions are released',
};

export class Agent {
  readonly surveys: JoinedSurveys;
  readonly #exclusions = new Exclusions();
  readonly #options: AgentOptions;
  readonly #deps: AgentDeps;
  readonly #leaser: ShardLeaser;
  readonly #draining = stopController();
  /** `sentAt` of our recent heartbeats, ascending: a grant must answer one of them. */
  readonly #heartbeatsSent = new Set<number>();

  constructor(options: AgentOptions, deps: AgentDeps) {
    assert(options.ceiling >= 0, `the ceiling ${options.ceiling} is negative`);
    this.#options = options;
    this.#deps = deps;
    this.surveys = new JoinedSurveys(deps, this.#exclusions);
    const { agent, vantage } = options;
    const leaserDeps = { ...deps, surveys: this.surveys };
    this.#leaser = new ShardLeaser({ agent, vantage }, leaserDeps, this.#draining.signal);
  }

  /** Works until the signal aborts; then settles the probes already sent, releases the rest, and ends. */
  async run(signal: AbortSignal): Promise<void> {
    const draining = this.#draining.signal;
    const drained = stopController();
    signal.addEventListener('abort', () => this.#drain(), { once: true });
    if (signal.aborted) this.#drain();
    const { clock } = this.#deps;
    const loops = [
      this.#followGrants(drained.signal),
      this.#followSurveys(drained.signal),
      this.#followExclusions(drained.signal),
      every(clock, LIMITS.settlePollMillis, drained.signal, () => this.#reconcile()),
      every(clock, LIMITS.checkpointMillis, drained.signal, () => this.#publishHeartbeat()),
    ];
    while (!draining.aborted) await clock.sleep(LIMITS.settlePollMillis, draining);
    await this.#leaser.ended();
    while (this.surveys.shards.length > 0) await clock.sleep(LIMITS.settlePollMillis);
    this.#publishHeartbeat();
    drained.abort();
    await Promise.all(loops);
    for (const joined of this.surveys.all) await joined.close();
  }

  #drain(): void {
    this.#draining.abort();
    for (const shard of this.surveys.shards) shard.stop();
  }

  async #followSurveys(signal: AbortSignal): Promise<void> {
    for await (const survey of this.#deps.bus.surveys.watch(signal)) {
      this.surveys.onSurveyChange(survey);
      if (this.surveys.isActive(survey.id)) this.#leaser.start(survey.id);
      const joined = this.surveys.get(survey.id);
      if (joined === undefined) continue;
      joined.onSurveyChange(survey);
      this.#publishHeartbeat(); // requests a grant for the new state
    }
  }

  async #reconcile(): Promise<void> {
    const now = this.#deps.clock.monotonic();
    this.#splitCeiling();
    for (const joined of this.surveys.all) {
      const { survey, held } = joined;
      joined.checkNetwork(now);
      for (const [number, shard] of held) {
        if (isEnding(survey.state)) shard.stop();
        if (shard.isGone) held.delete(number);
        else void this.#reconcileShard(joined, number);
      }
      if (joined.shouldAskForGrant(now)) this.#publishHeartbeat();
      if (joined.hasLostNetwork) this.surveys.refuse(survey.id, NETWORK_LOST, RETRY_MILLIS);
      if ((isOver(survey.state) || joined.hasLostNetwork) && held.size === 0) {
        await this.surveys.leave(joined);
      }
    }
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

  async #followGrants(signal: AbortSignal): Promise<void> {
    const { agent } = this.#options;
    for await (const grant of this.#deps.bus.grants.subscribe(agent, signal)) {
      if (!this.#answersHeartbeat(grant)) continue;
      const joined = this.surveys.get(grant.survey);
      if (joined === undefined) continue;
      const now = this.#deps.clock.monotonic();
      const before = joined.rateAt(now);
      this.#splitCeiling(); // before the new grant applies: other surveys may have to slow down
      joined.onGrant(grant, now);
      if (grant.quarantineReason !== '') {
        const refusal = { code: '', reason: grant.quarantineReason };
        this.surveys.refuse(grant.survey, refusal, QUARANTINE_MILLIS);
      }
      // Reports the lower rate at once, because other agents can get the freed part only after this
      // report.
      if (grant.rate < before) this.#publishHeartbeat();
    }
  }

  /**
   * True if a grant names this agent, answers one of its recent heartbeats, and lasts at most `grantMillis`.
   * Other grants are ignored; so a forged grant must answer a heartbeat that we sent, and expires soon after
   * it.
   */
  #answersHeartbeat({ agent, heartbeatAt, ttlMillis }: Grant): boolean {
    const isOurs = agent === this.#options.agent && this.#heartbeatsSent.has(heartbeatAt);
    return isOurs && ttlMillis <= LIMITS.grantMillis;
  }

  /** Divides this agent's own ceiling evenly among the surveys with work. */
  #splitCeiling(): void {
    const { ceiling } = this.#options;
    if (ceiling === 0) return;
    const sharers = this.surveys.all.filter(({ hasWork }) => hasWork).length;
    for (const joined of this.surveys.all) joined.setCeiling(ceiling / Math.max(1, sharers));
  }

  async #followExclusions(signal: AbortSignal): Promise<void> {
    for await (const entry of this.#deps.bus.exclusions.watch(signal)) {
      if (!this.#exclusions.add(entry)) continue;
      const joined = this.surveys.all;
      for (const each of joined) each.setExclusions(this.#exclusions);
      if (joined.length > 0) this.#publishHeartbeat();
    }
  }

  #publishHeartbeat(): void {
    this.#splitCeiling();
    const heartbeat = this.#heartbeat();
    for (const sentAt of this.#heartbeatsSent) {
      if (sentAt >= heartbeat.sentAt - LIMITS.grantMillis) break; // ascending
      this.#heartbeatsSent.delete(sentAt);
    }
    this.#heartbeatsSent.add(heartbeat.sentAt);
    this.#deps.bus.heartbeats.publish(heartbeat);
  }

  #heartbeat(): Heartbeat {
    const { agent, vantage, version } = this.#options;
    const now = this.#deps.clock.monotonic();
    const { all, problem, problemCode } = this.surveys;
    const isDraining = this.#draining.signal.aborted;
    return {
      agent,
      vantage,
      version,
      protocol: PROTOCOL,
      sentAt: now,
      invalid: all.reduce((sum, { rejects }) => sum + (rejects['foreign'] ?? 0), 0),
      state: isDraining ? 'leaving' : problem === '' ? 'working' : 'refused',
      problem: oneLine(problem, TEXT.LINE),
      problemCode,
      activities: all.map((joined) => joined.activity(now)),
    };
  }
}
