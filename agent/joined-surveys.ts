/**
 * The surveys of this agent: joins each survey that it can serve, and remembers which ones it cannot serve,
 * with the reason and the time of the next attempt.
 */

import type { Authorization } from '../shared/authorization/authorization.js';
import type { Clock } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { CoordinatorClient } from '../shared/bus/agent-api.js';
import { download, upload } from '../shared/bus/chunks.js';
import type { SurveyVersion } from '../shared/bus/heartbeat.js';
import type { AgentBus } from '../shared/bus/interfaces.js';
import { Plan } from '../shared/survey/plan.js';
import type { Exclusions } from '../shared/survey/policy/exclusions.js';
import { refuseOtherBytes, spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import type { Survey } from '../shared/survey/survey.js';
import type { Log } from '../shared/telemetry/log.js';
import type { HeldShard } from './held-shard.js';
import type { OpenNetworkIo } from './interfaces.js';
import { closeNetworkIo, JoinedSurvey } from './joined-survey.js';
import { checkSurvey, type HostPolicy } from './policy/host-policy.js';

/** Delay before a refused survey is tried again. */
export const RETRY_MILLIS = 5000;

export interface JoinedSurveysDeps {
  readonly bus: AgentBus;
  readonly clock: Clock;
  readonly log: Log;
  readonly openNetworkIo: OpenNetworkIo;
  /** The policy of this host. */
  readonly policy: HostPolicy;
  /** Our name. */
  readonly agent: string;
}

/** The reason why a survey is not served: a fault code, which may be empty, and one sentence. */
export interface RefusalReason {
  readonly code: string;
  readonly reason: string;
}

interface Refusal extends RefusalReason {
  /** Our monotonic clock. */
  readonly until: number;
}

export class JoinedSurveys {
  readonly #deps: JoinedSurveysDeps;
  readonly #exclusions: Exclusions;
  readonly #joined = new Map<string, JoinedSurvey>();
  readonly #joining = new Map<string, Promise<JoinedSurvey | undefined>>();
  /** The latest records of the surveys that are not over, with their versions, by survey identifier. */
  readonly #active = new Map<string, { readonly record: Survey; readonly version: number }>();
  readonly #refusals = new Map<string, Refusal>();

  constructor(deps: JoinedSurveysDeps, exclusions: Exclusions) {
    this.#deps = deps;
    this.#exclusions = exclusions;
  }

  /**
   * The reason why a survey is not served, for operators; empty if there is none. Reported until the survey
   * is served, or has ended and the refusal has expired.
   */
  get problem(): string {
    return this.#refusal?.reason ?? '';
  }

  /** The fault code of the problem; empty if there is none. */
  get problemCode(): string {
    return this.#refusal?.code ?? '';
  }

  get #refusal(): Refusal | undefined {
    const entries = [...this.#refusals];
    return entries.find(([survey]) => this.#active.has(survey) || this.#isRefused(survey))?.[1];
  }

  /** The surveys that are not over, as we know them. */
  get known(): readonly SurveyVersion[] {
    return [...this.#active].map(([survey, { version }]) => ({ survey, version }));
  }

  /** A survey was launched, or its record has changed. A survey of another protocol is refused at once. */
  onSurveyChange(record: Survey, version: number): void {
    this.#active.set(record.id, { record, version });
    const reason = versionSkewOf(record);
    if (reason !== '') this.refuse(record.id, { code: 'VERSION_SKEW', reason }, RETRY_MILLIS);
    this.get(record.id)?.onSurveyChange(record);
  }

  /** A survey is over: its shards are dropped, and it is left. */
  forget(survey: string): void {
    this.#active.delete(survey);
    for (const shard of this.get(survey)?.held.values() ?? []) shard.lose();
  }

  isActive(survey: string): boolean {
    return this.#active.has(survey);
  }

  /** True if shards of a survey may be leased at present. */
  canLease(survey: string): boolean {
    const record = this.#active.get(survey)?.record;
    if (record?.state !== 'running' || versionSkewOf(record) !== '') return false;
    return !this.#isRefused(survey) && !this.get(survey)?.hasLostNetwork;
  }

  get all(): readonly JoinedSurvey[] {
    return [...this.#joined.values()];
  }

  get shards(): readonly HeldShard[] {
    return this.all.flatMap(({ held }) => [...held.values()]);
  }

  get(survey: string): JoinedSurvey | undefined {
    return this.#joined.get(survey);
  }

  /** The joined survey; joins it if necessary. Undefined while it is refused. Never throws. */
  async join(id: string): Promise<JoinedSurvey | undefined> {
    const survey = this.#active.get(id)?.record;
    if (survey === undefined || this.#isRefused(id)) return undefined;
    const known = this.#joined.get(id);
    if (known?.hasLostNetwork) return undefined;
    if (known !== undefined) {
      this.#refusals.delete(id);
      return known;
    }
    const joining = this.#joining.get(id) ?? this.#join(survey);
    this.#joining.set(id, joining);
    return await joining.finally(() => this.#joining.delete(id));
  }

  async #join(survey: Survey): Promise<JoinedSurvey | undefined> {
    const { bus, clock, log, openNetworkIo, policy, agent } = this.#deps;
    const { id } = survey;
    try {
      const admit = (record: Survey, plan: Plan) =>
        checkSurvey(policy, record, {
          ...{ agent, plan, surveys: this.#joined.size, now: clock.wall() },
        });
      const deps = { openNetworkIo, clock, admit };
      const joined = await joinSurvey(bus.coordinator, survey, deps);
      this.#joined.set(id, joined);
      joined.setExclusions(this.#exclusions);
      // The record may have changed meanwhile.
      joined.onSurveyChange(this.#active.get(id)?.record ?? survey);
      this.#refusals.delete(id);
      const { sender, notes } = joined.networkIo;
      log.info({ survey: id, transmit: sender.transmit }, 'survey joined');
      for (const note of notes) log.warn({ survey: id }, note);
      return joined;
    } catch (error) {
      const code = error instanceof Fault ? error.code : 'SYSTEM_CALL';
      this.refuse(id, { code, reason: describeError(error) }, RETRY_MILLIS);
      return undefined;
    }
  }

  /** Leases no shards of a survey for a while. Refusing it again for the same reason does not extend the time. */
  refuse(survey: string, { code, reason }: RefusalReason, millis: number): void {
    const known = this.#refusals.get(survey);
    if (known?.reason !== reason) this.#deps.log.error({ survey, error: reason }, 'survey refused');
    else if (this.#isRefused(survey)) return;
    for (const other of this.#refusals.keys())
      if (!this.#active.has(other) && !this.#isRefused(other)) this.#refusals.delete(other);
    const until = this.#deps.clock.monotonic() + millis;
    this.#refusals.set(survey, { code, reason, until });
  }

  #isRefused(survey: string): boolean {
    return this.#deps.clock.monotonic() < (this.#refusals.get(survey)?.until ?? 0);
  }

  async leave(joined: JoinedSurvey): Promise<void> {
    this.#joined.delete(joined.survey.id);
    await joined.close();
  }
}

/** The reason why we cannot serve a survey of another protocol version; empty if the version is ours. */
function versionSkewOf({ protocol }: Survey): string {
  if (protocol === PROTOCOL) return '';
  return (
    `this agent has protocol ${PROTOCOL} and the coordinator ${protocol}: ` +
    'run the same version of Transect on both'
  );
}

export interface JoinSurveyDeps {
  readonly openNetworkIo: OpenNetworkIo;
  readonly clock: Clock;
  /** Checks a survey against the policy of this host. @throws Fault LOCAL_POLICY or UNAUTHORIZED */
  readonly admit: (survey: Survey, plan: Plan) => Authorization | undefined;
}

/**
 * Joins a survey: fetches its space, builds the plan, and compares it with the coordinator's.
 * @throws Fault MISSING_SPACE, PLAN_MISMATCH, LOCAL_POLICY, UNAUTHORIZED, or the reason why the network I/O cannot
 * be opened
 */
export async function joinSurvey(
  coordinator: CoordinatorClient,
  survey: Survey,
  { openNetworkIo, clock, admit }: JoinSurveyDeps,
): Promise<JoinedSurvey> {
  const { spaceHash, seed, shardLength, limits } = survey;
  const bytes = await download(LIMITS.spaceOctets, (offset) =>
    coordinator.ask('space', { hash: spaceHash, offset }),
  );
  if (bytes === undefined) throw new Fault('MISSING_SPACE', 'the coordinator has no such space');
  refuseOtherBytes(bytes, spaceHash, 'the target space');
  const space = spaceFromBytes(bytes);
  const plan = new Plan(space, seed, shardLength, limits.maxTargets, spaceHash);
  if (plan.hash !== survey.planHash) {
    const reason = 'agent and coordinator compute different plans: run the same version on both';
    throw new Fault('PLAN_MISMATCH', reason, { value: survey.id });
  }
  const authorization = admit(survey, plan);
  const networkIo = await openNetworkIo(survey, plan, bytes);
  try {
    const { rules, rulesHash: hash } = networkIo;
    if (rules !== undefined) {
      await upload(rules, (offset, chunk) =>
        coordinator.ask('rules', { hash, offset, total: rules.length, chunk }),
      );
    }
  } catch (error) {
    await closeNetworkIo(networkIo);
    throw error;
  }
  return new JoinedSurvey(survey, plan, { networkIo, clock, authorization });
}
