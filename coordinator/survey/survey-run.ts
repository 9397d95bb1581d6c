/**
 * One running survey, from its first lease to its manifest:
 *
 *     lease ══▶ (agents) ══▶ reports and batches ─▶ store the shard ─▶ covered
 *
 * A shard is stored once its lease is settled and every batch that the lease counts has arrived; batches leave
 * the stream only once the shard is durable. While nothing can be stored, nothing is leased and no agent
 * sends. A cancelled survey leases no more shards, waits until the agents have settled what they have sent,
 * and stores that.
 */
import {
  type Authorization,
  authorizationOf,
  refuseRateAbove,
} from '../../shared/authorization/authorization.js';
import { assert } from '../../shared/base/assert.js';
import { every } from '../../shared/base/clock.js';
import { deferred } from '../../shared/base/deferred.js';
import { describeError } from '../../shared/base/faults.js';
import { stopController } from '../../shared/base/stop.js';
import type { Activity, Heartbeat } from '../../shared/bus/heartbeat.js';
import type { CoordinatorBus, ResultDelivery } from '../../shared/bus/interfaces.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { LookupResult, SurveyStatus } from '../../shared/survey/status.js';
import {
  isEnding,
  isOver,
  refuseIfEnding,
  type Survey,
  type SurveyState,
} from '../../shared/survey/survey.js';
import { ShardStorer } from '../storage/shard-storer.js';
import type { ShardTable } from '../storage/shard-table.js';
import type { SurveyFolder } from '../storage/survey-folder.js';
import type { KnownSurvey } from './known-survey.js';
import { lookupTargets } from './lookup.js';
import { reachedLimit } from './reached-limit.js';
import type { StoredPlan } from './stored-space.js';
import { concludeSurvey } from './survey-conclusion.js';
import {
  NO_ANSWER,
  type SurveyAnswer,
  SurveyDispatch,
  type SurveyDispatchDeps,
} from './survey-dispatch.js';
import type { SurveyRecord } from './survey-record.js';
import { statusOf } from './survey-status.js';

export interface SurveyRunDeps extends Omit<SurveyDispatchDeps, 'bus' | 'storer' | 'isServing'> {
  readonly bus: CoordinatorBus;
  readonly folder: SurveyFolder;
  readonly version: string;
  readonly record: SurveyRecord;
  /** True if an agent is alive and works on a survey. */
  readonly isServing: (agent: string, survey: string) => boolean;
}

/** Versions of a record begin with the term, so they increase from coordinator to coordinator. */
const VERSIONS_PER_TERM = 2 ** 20;
const STEP_MILLIS = 50;
const END_RETRY_MILLIS = 2000;

export class SurveyRun implements KnownSurvey {
  readonly plan: Plan;
  /** The canonical bytes of its space. */
  readonly space: Uint8Array;
  readonly probeSet: ProbeSet;
  readonly authorization: Authorization | undefined;
  readonly folder: SurveyFolder;
  readonly dispatch: SurveyDispatch;
  readonly record: SurveyRecord;
  readonly storer: ShardStorer;
  survey: Survey;
  /** Version of its record, as agents know it; increases also from coordinator to coordinator. */
  version: number;
  /** A notice for people; empty if there is none. */
  notice = '';
  /** Resolves once the manifest is written; rejects if the survey failed. */
  readonly ended: Promise<SurveyStatus>;
  readonly #outcome = deferred<SurveyStatus>();
  readonly #deps: SurveyRunDeps;
  readonly #table: ShardTable;
  /** Batches that arrived before stored shards and leases were known; no agent is answered until then. */
  #early: ResultDelivery[] | undefined = [];
  readonly #isServing: (agent: string) => boolean;
  readonly #stop = stopController();
  #isImmediate = false;
  #endedAt = 0;
  #endRetryAt = 0;

  constructor(survey: Survey, { plan, space }: StoredPlan, deps: SurveyRunDeps) {
    assert(plan.hash === survey.planHash, `survey ${survey.id} runs with another plan`);
    this.survey = survey;
    this.plan = plan;
    this.space = space;
    this.probeSet = new ProbeSet(survey.probes);
    this.authorization = authorizationOf(survey);
    this.folder = deps.folder;
    this.record = deps.record;
    this.#deps = deps;
    const { clock, log, folder, term, keys } = deps;
    const { id } = survey;
    this.#isServing = (agent) => deps.isServing(agent, id);
    this.version = term * VERSIONS_PER_TERM;
    this.storer = new ShardStorer(plan, this.probeSet, {
      ...{ survey: id, clock, log, folder },
      keyOf: (batch) => keys.keyOf(batch),
      onForged: (lease, batch) => this.dispatch.onForged(lease, batch),
      mayStore: (lease, rowCount) => this.dispatch.crossChecks.mayStore(lease, rowCount),
      onCrossCheck: (line) => this.dispatch.restore(line),
      onProblemChange: () => this.#applyRate(),
    });
    this.#table = this.storer.table;
    const own = { storer: this.storer, isServing: this.#isServing };
    this.dispatch = new SurveyDispatch(survey, plan, { ...deps, ...own });
    this.ended = this.#outcome.promise;
  }

  /** Resumes the survey from the state of its journal and its leases, and works until it has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const stop = this.#stop;
    const abort = () => stop.abort();
    stop.signal.addEventListener('abort', () => this.storer.close());
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      await this.storer.restore(stop.signal);
      await this.dispatch.restoreLeases();
      for (const delivery of this.#early?.splice(0) ?? []) this.#take(delivery);
      this.#early = undefined;
      await every(clock, STEP_MILLIS, stop.signal, () => this.#step());
      await this.storer.flushed();
    } catch (error) {
      log.error({ survey: this.survey.id, error: describeError(error) }, 'survey failed');
      this.storer.close(`survey failed: ${describeError(error)}`);
      this.#applyRate();
      stop.abort();
      this.#outcome.reject(error);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  isStored(shard: number): boolean {
    return this.#table.isStored(shard);
  }

  /** Takes a batch from the stream. @returns whether its rows may be stored */
  onBatch(delivery: ResultDelivery): boolean {
    if (this.#early === undefined) return this.#take(delivery);
    this.#early.push(delivery);
    return false;
  }

  #take(delivery: ResultDelivery): boolean {
    return !this.dispatch.crossChecks.onBatch(delivery) && this.storer.onBatch(delivery);
  }

  /** True if agents may lease shards now. */
  get hasOffers(): boolean {
    return this.#early === undefined && this.#maySend && this.dispatch.hasNext;
  }

  /**
   * Answers the part of a heartbeat that is about this survey.
   * @param activity undefined if the agent does not serve the survey
   */
  async onHeartbeat(
    agent: string,
    heartbeat: Heartbeat,
    activity: Activity | undefined,
  ): Promise<SurveyAnswer> {
    if (this.#early !== undefined || isOver(this.survey.state)) return NO_ANSWER;
    return await this.dispatch.answer(agent, heartbeat, activity, this.#maySend);
  }

  async lookup(text: string): Promise<readonly LookupResult[]> {
    const { exclusions, bus, folder } = this.#deps;
    const { survey, plan } = this;
    const leaseOf = (shard: number) => this.#table.leaseOf(shard);
    const known = { survey, plan, folder, leaseOf, findings: this.#table.findings };
    return await lookupTargets(text, { ...known, exclusions, spaces: bus.spaces });
  }

  async pause(): Promise<void> {
    refuseIfEnding(this.survey, 'paused');
    if (this.survey.state === 'running') await this.#update({ state: 'paused' });
  }

  async resume(): Promise<void> {
    refuseIfEnding(this.survey, 'resumed');
    if (this.survey.state === 'paused') await this.#update({ state: 'running' });
  }

  async setRate(rate: Survey['rate']): Promise<void> {
    refuseIfEnding(this.survey, 'given another rate');
    refuseRateAbove(this.authorization, rate);
    await this.#update({ rate });
  }

  /**
   * Stops the survey: waits until what was sent has settled, unless `immediately`, and then stores what has
   * settled.
   * @param endReason the limit that is reached, if that is the cause
   */
  async cancel(immediately: boolean, endReason: Survey['endReason'] = ''): Promise<void> {
    this.#isImmediate ||= immediately;
    if (!isEnding(this.survey.state)) await this.#update({ state: 'draining', endReason });
  }

  get status(): SurveyStatus {
    const { survey, plan, storer } = this;
    const notice = this.notice || this.dispatch.crossChecks.notice;
    const { problem, batchesSetAside, table } = storer;
    const activity = this.dispatch.agents.activity.totals;
    const endedAt = this.#endedAt;
    return statusOf({ survey, plan, notice, problem, batchesSetAside, table, activity, endedAt });
  }

  async #step(): Promise<void> {
    const now = this.#deps.clock.monotonic();
    this.storer.throwFailure();
    await this.dispatch.step(now, this.#maySend);
    this.storer.storeReady();
    await this.#enforceLimits();
    if (!this.storer.isIdle || now < this.#endRetryAt) return;
    // A shard may be stored in part if a coordinator died while storing a cancelled survey.
    if (this.#table.isComplete) await this.#end(this.#table.isWhole ? 'done' : 'cancelled');
    else if (this.survey.state === 'draining' && this.#isDrained()) await this.#end('cancelled');
  }

  async #enforceLimits(): Promise<void> {
    const endReason = reachedLimit(this, this.#deps.clock.wall());
    if (endReason !== '') await this.#update({ state: 'draining', endReason });
  }

  /** True if the survey runs and its results can be stored: sending must wait while they cannot. */
  get #maySend(): boolean {
    return this.survey.state === 'running' && this.storer.problem === '';
  }

  #applyRate(): void {
    this.dispatch.agents.setRate(this.#maySend ? this.survey.rate : 0);
    this.dispatch.announce();
  }

  #isDrained(): boolean {
    if (this.#isImmediate) return true;
    if (!this.dispatch.areAgentsKnown) return false;
    return this.storer.isDrained(this.#isServing);
  }

  async #end(state: SurveyState): Promise<void> {
    const { bus, clock, log, version } = this.#deps;
    const { agents } = this.dispatch;
    // A limit that was reached only after everything was probed did not end the survey.
    const survey = state === 'done' ? { ...this.survey, endReason: '' as const } : this.survey;
    const now = () => {
      this.#endedAt = clock.wall();
      return { ...this.status, state, endReason: survey.endReason };
    };
    const facts = {
      version,
      ioStatsOf: (agent: string) => agents.activity.ioStatsOf(agent),
      crossChecks: this.dispatch.crossChecks.summary,
    };
    const isConcluded = await concludeSurvey(
      { survey: { ...survey, state }, storer: this.storer, status: now, ...facts },
      log,
    );
    if (!isConcluded) {
      this.#endedAt = 0;
      this.#endRetryAt = clock.monotonic() + END_RETRY_MILLIS;
      return;
    }
    // The end is recorded only once the manifest is durable: after a crash in between, the next coordinator
    // writes the manifest again.
    this.survey = { ...survey, state };
    await this.record.write(() => this.survey);
    this.storer.end();
    await bus.leases.purge(survey.id);
    this.dispatch.announce();
    const { targetsCovered } = this.#table;
    log.info({ survey: survey.id, state, targetsCovered }, 'survey ended');
    this.#stop.abort();
    this.#outcome.resolve(this.status);
  }

  /** Applies a change at once, and also writes it to the record, for the coordinator that comes after this one. */
  async #update(change: Partial<Pick<Survey, 'state' | 'rate' | 'endReason'>>): Promise<void> {
    this.survey = { ...this.survey, ...change };
    this.version++;
    this.#applyRate();
    await this.record.write(() => this.survey);
  }
}
