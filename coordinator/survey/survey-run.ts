/**
 * One survey from its first offer to its manifest:
 *
 *     dispatch ══▶ (agents) ══▶ leases and batches ─▶ collect ─▶ store the shard ─▶ covered
 *
 * A shard is stored when its lease says it is settled and every batch the lease counts is here; the
 * batches leave the stream only once the shard is durable. Where it cannot be made durable, nothing
 * more is dispatched and nobody sends until there is room. Cancelled, the survey stops offering, waits
 * until the agents have settled what they had sent, and stores that.
 */

import { type Clock, every } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import { stopController } from '../../shared/base/stop.js';
import type { Bus, Grant, Heartbeat, ResultDelivery } from '../../shared/bus/interfaces.js';
import { type Lease, lastEpoch } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Exclusions } from '../../shared/survey/policy/exclusions.js';
import type { LookupResult, SurveyStatus } from '../../shared/survey/status.js';
import {
  isEnding,
  isOver,
  refuseIfEnding,
  type Survey,
  type SurveyState,
} from '../../shared/survey/survey.js';
import { targetsOf } from '../../shared/survey/target-list.js';
import type { Log } from '../../shared/telemetry/log.js';
import { SurveyAgents } from '../agents/survey-agents.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { LeaseMaintenance } from '../dispatch/lease-maintenance.js';
import { ShardStorer } from '../storage/shard-storer.js';
import type { ShardTracker } from '../storage/shard-tracker.js';
import type { SurveyFolder } from '../storage/survey-folder.js';
import { lookupTarget } from './lookup.js';
import type { SurveyRecord } from './survey-record.js';
import { statusOf } from './survey-status.js';
import type { KnownSurvey } from './surveys.js';

export interface SurveyRunDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly surveyFolder: SurveyFolder;
  readonly version: string;
  /** Of the coordinator. */
  readonly term: number;
  /** Whether a coordinator before us has begun it. */
  readonly isResumed: boolean;
  readonly exclusions: Exclusions;
  readonly record: SurveyRecord;
}

const DISPATCH_MILLIS = 50;
const TEND_MILLIS = 5000;
/** A survey that could not be ended is ended after this. */
const END_AGAIN_MILLIS = 2000;

export class SurveyRun implements KnownSurvey {
  readonly plan: Plan;
  readonly surveyFolder: SurveyFolder;
  readonly surveyAgents: SurveyAgents;
  readonly record: SurveyRecord;
  survey: Survey;
  /** What people should know of it; empty where there is nothing. */
  notice = '';
  /** Resolves once the manifest is written, or rejects with what made it impossible. */
  readonly ended: Promise<SurveyStatus>;
  readonly #parts: SurveyRunDeps;
  readonly #archive: ShardStorer;
  readonly #ledger: ShardTracker;
  readonly #dispatcher: Dispatcher;
  readonly #leaseCare: LeaseMaintenance;
  readonly #stop = stopController();
  #isImmediate = false;
  #maintainedAt = 0;
  /** Before it, agents and leases may not have been heard of yet. */
  readonly #drainCheckFrom: number;
  #endedAt = 0;
  #endFrom = 0;
  #resolveEnded: { resolve(status: SurveyStatus): void; reject(error: unknown): void } | undefined;

  constructor(survey: Survey, plan: Plan, deps: SurveyRunDeps) {
    this.survey = survey;
    this.plan = plan;
    this.surveyFolder = deps.surveyFolder;
    this.record = deps.record;
    this.#parts = deps;
    this.#dispatcher = new Dispatcher(deps.bus.work, survey.id);
    const { clock, log, surveyFolder, isResumed, exclusions } = deps;
    const onTrouble = () => this.#applyRate();
    this.#archive = new ShardStorer(plan, {
      survey: survey.id,
      clock,
      log,
      surveyFolder,
      onTrouble,
    });
    this.#ledger = this.#archive.tracker;
    const { leases: book, work } = deps.bus;
    const epochWithLostBatch = (lease: Lease) => this.#archive.epochWithLostBatch(lease);
    this.#leaseCare = new LeaseMaintenance(survey.id, {
      book,
      work,
      tracker: this.#ledger,
      epochWithLostBatch,
      log,
    });
    const now = clock.monotonic();
    this.#drainCheckFrom = isResumed ? now + LIMITS.agentTimeoutMillis : now;
    this.surveyAgents = new SurveyAgents(
      { survey: survey.id, plan, isResumed, term: deps.term },
      {
        clock,
        log,
        rate: survey.state === 'running' ? survey.rate : 0,
        exclusions: () => exclusions.version,
        stragglers: () => (this.#ledger.isFullyLeased ? this.#ledger.leases : []),
        holds: (agent) => this.#ledger.isHolder(agent),
        settled: () => this.#ledger.repliesByAgent,
        onNoReplies: (agent) => this.#leaseCare.revoke(agent),
      },
    );
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = { resolve, reject };
    });
    this.ended.catch(() => {}); // nobody has to wait for it
  }

  /** Takes up the survey where journal and leases stand, and works until it has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    const stop = this.#stop;
    const abort = () => stop.abort();
    stop.signal.addEventListener('abort', () => this.#archive.close());
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      await this.#archive.restore(stop.signal);
      const watching = this.#followLeases(stop.signal);
      await every(clock, DISPATCH_MILLIS, stop.signal, () => this.#step());
      await Promise.all([watching, this.#archive.settled()]);
    } catch (error) {
      log.error({ survey: this.survey.id, error: describeError(error) }, 'survey failed');
      this.#archive.close(`survey failed: ${describeError(error)}`);
      this.#applyRate();
      stop.abort();
      this.#resolveEnded?.reject(error);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** A batch came off the stream; one that is of no use is let go. @returns whether its rows may count */
  collect(delivery: ResultDelivery): boolean {
    if (isOver(this.survey.state)) delivery.acknowledge();
    else if (!this.#stop.signal.aborted) return this.#archive.collect(delivery);
    return false; // failed: it stays in the stream
  }

  isStored(shard: number): boolean {
    return this.#ledger.isStored(shard);
  }

  /** Answers the part of a heartbeat that is about this survey. */
  hear(heartbeat: Heartbeat): Grant | undefined {
    const activity = heartbeat.activities.find(({ survey }) => survey === this.survey.id);
    if (activity === undefined || isOver(this.survey.state)) return undefined;
    const hasWork = activity.hasWork && this.#maySend;
    return this.surveyAgents.hear(heartbeat, { ...activity, hasWork });
  }

  async lookup(text: string): Promise<readonly LookupResult[]> {
    const { exclusions, bus } = this.#parts;
    const { survey, plan, surveyFolder } = this;
    const leaseOf = (shard: number) => this.#ledger.leaseOf(shard);
    const known = { survey, plan, leaseOf, surveyFolder, exclusions, spaces: bus.spaces };
    const asked = targetsOf(text, plan.space.parts.ports);
    return await Promise.all(asked.map((target) => lookupTarget(target, known)));
  }

  async pause(): Promise<void> {
    refuseIfEnding(this.survey, 'paused');
    if (this.survey.state === 'running') await this.#setState('paused');
  }

  async resume(): Promise<void> {
    refuseIfEnding(this.survey, 'resumed');
    if (this.survey.state === 'paused') await this.#setState('running');
  }

  async setRate(rate: Survey['rate']): Promise<void> {
    refuseIfEnding(this.survey, 'given another rate');
    this.survey = { ...this.survey, rate };
    await this.#setState(this.survey.state);
  }

  /** Stops the survey: what has been sent is settled and stored first, unless `immediately`. */
  async cancel(immediately: boolean): Promise<void> {
    this.#isImmediate ||= immediately;
    if (!isEnding(this.survey.state)) await this.#setState('draining');
  }

  /** Tells agents that their terms have changed. */
  renewGrants(): void {
    for (const grant of this.surveyAgents.renewGrants()) this.#parts.bus.grants.publish(grant);
  }

  get status(): SurveyStatus {
    return statusOf({
      survey: this.survey,
      plan: this.plan,
      tracker: this.#ledger,
      activities: this.surveyAgents.activities.summary(this.#parts.clock.monotonic()),
      endedAt: this.#endedAt,
      batchesSetAside: this.#archive.batchesSetAside,
      notice: this.notice,
      problem: this.#archive.problem,
    });
  }

  async #step(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    this.#archive.refuseFailure();
    if (this.#maySend) await this.#dispatcher.dispatch(this.#ledger, now);
    this.#archive.storeReady();
    if (now - this.#maintainedAt >= TEND_MILLIS) await this.#maintainLeases(now);
    if (!this.#archive.isIdle || now < this.#endFrom) return;
    // A shard may be partial where a coordinator died while it stored a cancelled survey.
    const isWhole = this.#ledger.targetsCovered === this.plan.size;
    if (this.#ledger.isComplete) await this.#end(isWhole ? 'done' : 'cancelled');
    else if (this.survey.state === 'draining' && this.#isDrained()) await this.#end('cancelled');
  }

  async #followLeases(signal: AbortSignal): Promise<void> {
    for await (const lease of this.#parts.bus.leases.watch(this.survey.id, signal)) {
      const isOfBefore = (lastEpoch(lease.value)?.epoch ?? 0) < this.survey.firstEpoch;
      if (!isOfBefore) this.#archive.leased(lease);
    }
  }

  /** Where nothing can be stored, or not fast enough, nobody sends until it can. */
  get #maySend(): boolean {
    return this.survey.state === 'running' && this.#archive.problem === '';
  }

  #applyRate(): void {
    const grants = this.surveyAgents.set(this.#maySend ? this.survey.rate : 0);
    for (const grant of grants) this.#parts.bus.grants.publish(grant);
  }

  /** Leases that stand still are seen to; those below the frontier are forgotten, once agents know it. */
  async #maintainLeases(now: number): Promise<void> {
    this.#maintainedAt = now;
    await this.#leaseCare.repair(now, this.#maySend);
    const storedBelow = await this.#leaseCare.forget(this.survey.storedBelow);
    if (storedBelow === undefined || isOver(this.survey.state)) return;
    this.survey = { ...this.survey, storedBelow };
    await this.record.write(() => this.survey);
  }

  #isDrained(): boolean {
    if (this.#isImmediate) return true;
    const now = this.#parts.clock.monotonic();
    if (now < this.#drainCheckFrom) return false;
    return this.#archive.isDrained((agent) => this.surveyAgents.activities.isAlive(agent, now));
  }

  async #end(state: SurveyState): Promise<void> {
    const { bus, clock, log, version } = this.#parts;
    const ioStatsOf = (agent: string) => this.surveyAgents.ioStatsOf(agent);
    try {
      if (state === 'cancelled') await this.#archive.storeSettled();
      await this.#archive.settled();
      this.#endedAt = clock.wall();
      const survey = { ...this.survey, state };
      const status = { ...this.status, state };
      await this.#archive.conclude({ survey, status, version, ioStatsOf });
    } catch (error) {
      if (!(error instanceof Fault && error.code === 'UNWRITABLE')) throw error;
      log.error({ survey: this.survey.id, error: describeError(error) }, 'survey cannot be ended');
      this.#endFrom = this.#parts.clock.monotonic() + END_AGAIN_MILLIS;
      return;
    }
    // Over for everyone only once the manifest stands: a crash before this does it again.
    this.survey = { ...this.survey, state };
    await this.record.write(() => this.survey);
    this.#archive.dropAll();
    await bus.work.close(this.survey.id);
    await bus.leases.forget(this.survey.id);
    log.info(
      { survey: this.survey.id, state, covered: this.#ledger.targetsCovered },
      'survey ended',
    );
    this.#stop.abort();
    this.#resolveEnded?.resolve(this.status);
  }

  async #setState(state: SurveyState): Promise<void> {
    this.survey = { ...this.survey, state };
    this.#applyRate(); // at once, by grants; and by the record, for who missed them
    await this.record.write(() => this.survey);
  }
}
