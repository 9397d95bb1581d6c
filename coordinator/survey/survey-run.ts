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
import { assert } from '../../shared/base/assert.js';
import { type Clock, every } from '../../shared/base/clock.js';
import { describeError } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import { stopController } from '../../shared/base/stop.js';
import type { Activity, Heartbeat, HeartbeatReply } from '../../shared/bus/heartbeat.js';
import type { CoordinatorBus, ResultDelivery } from '../../shared/bus/interfaces.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Exclusions } from '../../shared/survey/policy/exclusions.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import type { LookupResult, SurveyStatus } from '../../shared/survey/status.js';
import {
  isEnding,
  isOver,
  refuseIfEnding,
  type Survey,
  type SurveyState,
} from '../../shared/survey/survey.js';
import type { Log } from '../../shared/telemetry/log.js';
import { SurveyAgents } from '../agents/survey-agents.js';
import { LeaseBook } from '../leases/lease-book.js';
import { ShardStorer } from '../storage/shard-storer.js';
import type { ShardTable } from '../storage/shard-table.js';
import type { SurveyFolder } from '../storage/survey-folder.js';
import type { SurveyKeys } from '../survey-keys.js';
import type { KnownSurvey } from './known-survey.js';
import { lookupTargets } from './lookup.js';
import { reachedLimit } from './reached-limit.js';
import type { StoredPlan } from './stored-space.js';
import { concludeSurvey } from './survey-conclusion.js';
import type { SurveyRecord } from './survey-record.js';
import { statusOf } from './survey-status.js';

export interface SurveyRunDeps {
  readonly bus: CoordinatorBus;
  readonly clock: Clock;
  readonly log: Log;
  readonly folder: SurveyFolder;
  readonly version: string;
  /** The fencing term of the coordinator. */
  readonly term: number;
  /** True if another coordinator may have led the survey before. */
  readonly isResumed: boolean;
  readonly exclusions: Exclusions;
  readonly record: SurveyRecord;
  readonly keys: SurveyKeys;
  /** True if an agent is alive and works on a survey. */
  readonly isServing: (agent: string, survey: string) => boolean;
}

/** What the reply to a heartbeat says about one survey. */
export type SurveyAnswer = Pick<HeartbeatReply, 'lost' | 'leases' | 'grants'>;

const NO_ANSWER: SurveyAnswer = { lost: [], leases: [], grants: [] };
/** Versions of a record begin with the term, so they increase from coordinator to coordinator. */
const VERSIONS_PER_TERM = 2 ** 20;
const STEP_MILLIS = 50;
const MAINTENANCE_MILLIS = 3000;
const END_RETRY_MILLIS = 2000;

export class SurveyRun implements KnownSurvey {
  readonly plan: Plan;
  /** The canonical bytes of its space. */
  readonly space: Uint8Array;
  readonly probeSet: ProbeSet;
  readonly folder: SurveyFolder;
  readonly agents: SurveyAgents;
  readonly record: SurveyRecord;
  readonly storer: ShardStorer;
  survey: Survey;
  /** A notice for people; empty if there is none. */
  notice = '';
  /** Resolves once the manifest is written; rejects if the survey failed. */
  readonly ended: Promise<SurveyStatus>;
  readonly #deps: SurveyRunDeps;
  readonly #table: ShardTable;
  readonly #leases: LeaseBook;
  /** Batches that arrived before the leases were read. */
  #early: ResultDelivery[] | undefined = [];
  /** Version of the record, as agents know it. */
  #version: number;
  readonly #isServing: (agent: string) => boolean;
  readonly #stop = stopController();
  #isImmediate = false;
  #hadOffers = false;
  #maintainedAt = 0;
  /** The time, on our monotonic clock, before which some agents and leases may not be known yet. */
  readonly #drainCheckFrom: number;
  #endedAt = 0;
  #endRetryAt = 0;
  #resolveEnded: { resolve(status: SurveyStatus): void; reject(error: unknown): void } | undefined;

  constructor(survey: Survey, { plan, space }: StoredPlan, deps: SurveyRunDeps) {
    assert(plan.hash === survey.planHash, `survey ${survey.id} runs with another plan`);
    this.survey = survey;
    this.plan = plan;
    this.space = space;
    this.probeSet = new ProbeSet(survey.probes);
    this.folder = deps.folder;
    this.record = deps.record;
    this.#deps = deps;
    const { bus, clock, log, folder, isResumed, term } = deps;
    const { id } = survey;
    this.#isServing = (agent) => deps.isServing(agent, id);
    this.#version = term * VERSIONS_PER_TERM;
    const onProblemChange = () => this.#applyRate();
    const keyOf = deps.keys.keyOf.bind(deps.keys);
    const onForged = (lease: Lease, batch: ResultBatch) => this.#onForged(lease, batch);
    const storerDeps = { survey: id, clock, log, folder, onProblemChange, keyOf, onForged };
    this.storer = new ShardStorer(plan, this.probeSet, storerDeps);
    this.#table = this.storer.table;
    this.#leases = new LeaseBook({
      ...{ survey, plan, table: this.#table, store: bus.leases, term, clock, log, keyOf },
      onChange: (lease, revision) => this.storer.onLease(lease, revision),
      epochWithLostBatch: (lease) => this.storer.epochWithLostBatch(lease),
      onViolation: (agent, reason) => this.agents.quarantine(agent, `impossible report, ${reason}`),
    });
    const now = clock.monotonic();
    this.#drainCheckFrom = isResumed ? now + LIMITS.agentTimeoutMillis : now;
    const rate = survey.state === 'running' ? survey.rate : 0;
    this.agents = new SurveyAgents(
      { survey: id, plan, rate, isResumed, term },
      {
        ...{ clock, log, isServing: this.#isServing },
        exclusionsVersion: () => deps.exclusions.version,
        unfinishedLeases: () => (this.#table.isFullyLeased ? this.#table.leases : []),
        holdsLease: (agent) => this.#table.countHeldBy(agent) > 0,
        repliesByAgent: () => this.#table.repliesByAgent,
        revokeLeases: (agent) => this.#leases.revoke(agent),
      },
    );
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = { resolve, reject };
    });
    this.ended.catch(() => {}); // callers need not wait for it
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
      await this.#leases.restore();
      for (const delivery of this.#early?.splice(0) ?? []) this.storer.onBatch(delivery);
      this.#early = undefined;
      await every(clock, STEP_MILLIS, stop.signal, () => this.#step());
      await this.storer.flushed();
    } catch (error) {
      log.error({ survey: this.survey.id, error: describeError(error) }, 'survey failed');
      this.storer.close(`survey failed: ${describeError(error)}`);
      this.#applyRate();
      stop.abort();
      this.#resolveEnded?.reject(error);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  isStored(shard: number): boolean {
    return this.#table.isStored(shard);
  }

  /** Takes a batch from the stream. @returns whether its rows may be stored */
  onBatch(delivery: ResultDelivery): boolean {
    if (this.#early === undefined) return this.storer.onBatch(delivery);
    this.#early.push(delivery);
    return false;
  }

  /** The version of the survey's record; increases with each change, also from coordinator to coordinator. */
  get version(): number {
    return this.#version;
  }

  /** True if agents may lease shards now. */
  get hasOffers(): boolean {
    return this.#isReady && this.#maySend && this.#table.hasNext;
  }

  /** True once stored shards and leases are known: before that, no agent is answered. */
  get #isReady(): boolean {
    return this.#early === undefined;
  }

  /**
   * Answers the part of a heartbeat that is about this survey: takes the reports, opens leases, and grants a rate.
   * @param activity undefined if the agent does not serve the survey
   */
  async onHeartbeat(
    agent: string,
    { vantage, state }: Heartbeat,
    activity: Activity | undefined,
  ): Promise<SurveyAnswer> {
    if (!this.#isReady || isOver(this.survey.state)) return NO_ANSWER;
    const lost = this.#leases.report(agent, activity?.shards ?? []);
    if (activity === undefined) {
      await this.#leases.written();
      return { ...NO_ANSWER, lost };
    }
    const isFit = state !== 'leaving' && this.agents.quarantineReasonOf(agent) === '';
    const holder = { agent, vantage, rulesHash: activity.rulesHash };
    const wanted = isFit && this.#maySend ? activity.wanted : 0;
    const leases = this.#leases.open(holder, wanted);
    const hasWork = (activity.hasWork || leases.length > 0) && this.#maySend;
    const grant = this.agents.onHeartbeat(agent, { ...activity, hasWork });
    this.#leases.onGrant(agent, grant.rate);
    await this.#leases.written();
    return { lost, leases, grants: [grant] };
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
    return statusOf({
      survey: this.survey,
      plan: this.plan,
      table: this.#table,
      activity: this.agents.activity.totals,
      endedAt: this.#endedAt,
      batchesSetAside: this.storer.batchesSetAside,
      notice: this.notice,
      problem: this.storer.problem,
    });
  }

  async #step(): Promise<void> {
    const now = this.#deps.clock.monotonic();
    this.storer.throwFailure();
    if (now >= this.#drainCheckFrom) this.#leases.freeShardsOf((agent) => !this.#isServing(agent));
    this.#announceOffers();
    this.storer.storeReady();
    await this.#enforceLimits();
    if (now - this.#maintainedAt >= MAINTENANCE_MILLIS) await this.#maintainLeases(now);
    if (!this.storer.isIdle || now < this.#endRetryAt) return;
    // A shard may be stored in part if a coordinator died while storing a cancelled survey.
    if (this.#table.isComplete) await this.#end(this.#table.isWhole ? 'done' : 'cancelled');
    else if (this.survey.state === 'draining' && this.#isDrained()) await this.#end('cancelled');
  }

  async #enforceLimits(): Promise<void> {
    const endReason = reachedLimit(this, this.#deps.clock.wall());
    if (endReason !== '') await this.#update({ state: 'draining', endReason });
  }

  /** Tells agents when shards can be leased again, after there were none. */
  #announceOffers(): void {
    const { hasOffers } = this;
    if (hasOffers && !this.#hadOffers) this.#announce();
    this.#hadOffers = hasOffers;
  }

  /** An agent has published a row that none of its probes can have caused. */
  #onForged(lease: Lease, { agent, epoch }: ResultBatch): void {
    this.#leases.rewind(lease, epoch);
    this.agents.quarantine(
      agent,
      `shard ${lease.shard}: a row does not bear the cookie of its probe`,
    );
  }

  #announce(): void {
    this.#deps.bus.agents.announce(this.survey.id);
  }

  /** True if the survey runs and its results can be stored: sending must wait while they cannot. */
  get #maySend(): boolean {
    return this.survey.state === 'running' && this.storer.problem === '';
  }

  #applyRate(): void {
    this.agents.setRate(this.#maySend ? this.survey.rate : 0);
    this.#announce();
  }

  async #maintainLeases(now: number): Promise<void> {
    this.#maintainedAt = now;
    this.#leases.repair(now);
    await this.#leases.writeAll();
    await this.#leases.purge();
  }

  #isDrained(): boolean {
    if (this.#isImmediate) return true;
    if (this.#deps.clock.monotonic() < this.#drainCheckFrom) return false;
    return this.storer.isDrained(this.#isServing);
  }

  async #end(state: SurveyState): Promise<void> {
    const { bus, clock, log, version } = this.#deps;
    const { agents } = this;
    // A limit that was reached only after everything was probed did not end the survey.
    const survey = state === 'done' ? { ...this.survey, endReason: '' as const } : this.survey;
    const now = () => {
      this.#endedAt = clock.wall();
      return { ...this.status, state, endReason: survey.endReason };
    };
    const ioStatsOf = (agent: string) => agents.activity.ioStatsOf(agent);
    const isConcluded = await concludeSurvey(
      { survey: { ...survey, state }, storer: this.storer, status: now, version, ioStatsOf },
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
    this.#announce();
    const { targetsCovered } = this.#table;
    log.info({ survey: survey.id, state, targetsCovered }, 'survey ended');
    this.#stop.abort();
    this.#resolveEnded?.resolve(this.status);
  }

  /** Applies a change at once, and also writes it to the record, for the coordinator that comes after this one. */
  async #update(change: Partial<Pick<Survey, 'state' | 'rate' | 'endReason'>>): Promise<void> {
    this.survey = { ...this.survey, ...change };
    this.#version++;
    this.#applyRate();
    await this.record.write(() => this.survey);
  }
}
