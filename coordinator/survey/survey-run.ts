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
import type { Bus, Grant, Heartbeat, ResultDelivery } from '../../shared/bus/ports.js';
import type { Exclusions } from '../../shared/survey/exclusions.js';
import { type Lease, lastReport } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { SurveyStatus, TargetFate } from '../../shared/survey/status.js';
import {
  isEnding,
  isOver,
  mustGoOn,
  type Survey,
  type SurveyState,
} from '../../shared/survey/survey.js';
import { targetsOf } from '../../shared/survey/target-list.js';
import type { Log } from '../../shared/telemetry/log.js';
import { Archive } from '../archive.js';
import { Dispatcher } from '../dispatch/dispatch.js';
import { Fleet } from '../fleet.js';
import { LeaseCare } from '../ledger/lease-care.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Vault } from '../vault.js';
import { fateOf } from './inquiry.js';
import type { SurveyRecord } from './survey-record.js';
import { statusOf } from './survey-status.js';
import type { KnownSurvey } from './surveys.js';

export interface SurveyRunParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: Vault;
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
  readonly vault: Vault;
  readonly fleet: Fleet;
  readonly record: SurveyRecord;
  survey: Survey;
  /** What people should know of it; empty where there is nothing. */
  notice = '';
  /** Resolves once the manifest is written, or rejects with what made it impossible. */
  readonly ended: Promise<SurveyStatus>;
  readonly #parts: SurveyRunParts;
  readonly #archive: Archive;
  readonly #ledger: Ledger;
  readonly #dispatcher: Dispatcher;
  readonly #leaseCare: LeaseCare;
  readonly #stop = stopController();
  #isImmediate = false;
  #tendedAt = 0;
  /** Before it, agents and leases may not have been heard of yet. */
  readonly #calmFrom: number;
  #endedAt = 0;
  #endFrom = 0;
  #settle: { resolve(status: SurveyStatus): void; reject(error: unknown): void } | undefined;

  constructor(survey: Survey, plan: Plan, parts: SurveyRunParts) {
    this.survey = survey;
    this.plan = plan;
    this.vault = parts.vault;
    this.record = parts.record;
    this.#parts = parts;
    this.#dispatcher = new Dispatcher(parts.bus.work, survey.id);
    const { clock, log, vault, isResumed, exclusions } = parts;
    const onTrouble = () => this.#tellRate();
    this.#archive = new Archive(plan, { survey: survey.id, clock, log, vault, onTrouble });
    this.#ledger = this.#archive.ledger;
    const { leases: book, work } = parts.bus;
    const firstLost = (lease: Lease) => this.#archive.firstLost(lease);
    this.#leaseCare = new LeaseCare(survey.id, {
      book,
      work,
      ledger: this.#ledger,
      firstLost,
      log,
    });
    const now = clock.monotonic();
    this.#calmFrom = isResumed ? now + LIMITS.agentGoneMillis : now;
    this.fleet = new Fleet(
      { survey: survey.id, plan, isResumed, term: parts.term },
      {
        clock,
        log,
        rate: survey.state === 'running' ? survey.rate : 0,
        exclusions: () => exclusions.version,
        leftOver: () => (this.#ledger.isAllTaken ? this.#ledger.underWay : []),
        holds: (agent) => this.#ledger.isHolder(agent),
        settled: () => this.#ledger.settledBy,
        onDeaf: (agent) => this.#leaseCare.disown(agent),
      },
    );
    this.ended = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
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
      this.#tellRate();
      stop.abort();
      this.#settle?.reject(error);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** A batch came off the stream; one that is of no use is let go. @returns whether its rows may count */
  collect(delivery: ResultDelivery): boolean {
    if (isOver(this.survey.state)) delivery.stored();
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
    const wants = activity.wants && this.#maySend;
    return this.fleet.hear(heartbeat, { ...activity, wants });
  }

  async fatesOf(text: string): Promise<readonly TargetFate[]> {
    const { exclusions, bus } = this.#parts;
    const { survey, plan, vault } = this;
    const leaseOf = (shard: number) => this.#ledger.leaseOf(shard);
    const known = { survey, plan, leaseOf, vault, exclusions, spaces: bus.spaces };
    const asked = targetsOf(text, plan.space.parts.ports);
    return await Promise.all(asked.map((target) => fateOf(target, known)));
  }

  async pause(): Promise<void> {
    mustGoOn(this.survey, 'paused');
    if (this.survey.state === 'running') await this.#become('paused');
  }

  async resume(): Promise<void> {
    mustGoOn(this.survey, 'resumed');
    if (this.survey.state === 'paused') await this.#become('running');
  }

  async setRate(rate: Survey['rate']): Promise<void> {
    mustGoOn(this.survey, 'given another rate');
    this.survey = { ...this.survey, rate };
    await this.#become(this.survey.state);
  }

  /** Stops the survey: what has been sent is settled and stored first, unless `immediately`. */
  async cancel(immediately: boolean): Promise<void> {
    this.#isImmediate ||= immediately;
    if (!isEnding(this.survey.state)) await this.#become('draining');
  }

  /** Tells agents that their terms have changed. */
  remind(): void {
    for (const grant of this.fleet.remind()) this.#parts.bus.rates.lend(grant);
  }

  get status(): SurveyStatus {
    return statusOf({
      survey: this.survey,
      plan: this.plan,
      ledger: this.#ledger,
      roster: this.fleet.roster.summary(this.#parts.clock.monotonic()),
      endedAt: this.#endedAt,
      batchesSetAside: this.#archive.batchesSetAside,
      notice: this.notice,
      trouble: this.#archive.trouble,
    });
  }

  async #step(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    this.#archive.refuseFailure();
    if (this.#maySend) await this.#dispatcher.dispatch(this.#ledger, now);
    this.#archive.storeReady();
    if (now - this.#tendedAt >= TEND_MILLIS) await this.#tendLeases(now);
    if (!this.#archive.isIdle || now < this.#endFrom) return;
    // A shard may be partial where a coordinator died while it stored a cancelled survey.
    const isWhole = this.#ledger.covered === this.plan.size;
    if (this.#ledger.isComplete) await this.#end(isWhole ? 'done' : 'cancelled');
    else if (this.survey.state === 'draining' && this.#isDrained()) await this.#end('cancelled');
  }

  async #followLeases(signal: AbortSignal): Promise<void> {
    for await (const lease of this.#parts.bus.leases.watch(this.survey.id, signal)) {
      const isOfBefore = (lastReport(lease.value)?.epoch ?? 0) < this.survey.firstEpoch;
      if (!isOfBefore) this.#archive.leased(lease);
    }
  }

  /** Where nothing can be stored, or not fast enough, nobody sends until it can. */
  get #maySend(): boolean {
    return this.survey.state === 'running' && this.#archive.trouble === '';
  }

  #tellRate(): void {
    const grants = this.fleet.set(this.#maySend ? this.survey.rate : 0);
    for (const grant of grants) this.#parts.bus.rates.lend(grant);
  }

  /** Leases that stand still are seen to; those below the frontier are forgotten, once agents know it. */
  async #tendLeases(now: number): Promise<void> {
    this.#tendedAt = now;
    await this.#leaseCare.mend(now, this.#maySend);
    const frontier = await this.#leaseCare.forget(this.survey.frontier);
    if (frontier === undefined || isOver(this.survey.state)) return;
    this.survey = { ...this.survey, frontier };
    await this.record.write(() => this.survey);
  }

  #isDrained(): boolean {
    if (this.#isImmediate) return true;
    const now = this.#parts.clock.monotonic();
    if (now < this.#calmFrom) return false;
    return this.#archive.isDrained((agent) => this.fleet.roster.isPresent(agent, now));
  }

  async #end(state: SurveyState): Promise<void> {
    const { bus, clock, log, version } = this.#parts;
    const equipmentOf = (agent: string) => this.fleet.equipmentOf(agent);
    try {
      if (state === 'cancelled') await this.#archive.storeSettled();
      await this.#archive.settled();
      this.#endedAt = clock.wall();
      const survey = { ...this.survey, state };
      const status = { ...this.status, state };
      await this.#archive.conclude({ survey, status, version, equipmentOf });
    } catch (error) {
      if (!(error instanceof Fault && error.code === 'UNWRITABLE')) throw error;
      log.error({ survey: this.survey.id, error: describeError(error) }, 'survey cannot be ended');
      this.#endFrom = this.#parts.clock.monotonic() + END_AGAIN_MILLIS;
      return;
    }
    // Over for everyone only once the manifest stands: a crash before this does it again.
    this.survey = { ...this.survey, state };
    await this.record.write(() => this.survey);
    this.#archive.releaseAll();
    await bus.work.close(this.survey.id);
    await bus.leases.forget(this.survey.id);
    log.info({ survey: this.survey.id, state, covered: this.#ledger.covered }, 'survey ended');
    this.#stop.abort();
    this.#settle?.resolve(this.status);
  }

  async #become(state: SurveyState): Promise<void> {
    this.survey = { ...this.survey, state };
    this.#tellRate(); // at once, by grants; and by the record, for who missed them
    await this.record.write(() => this.survey);
  }
}
