/**
 * The coordinator's main flow. It admits surveys, plans them, leases their shards, grants their rate, and
 * stores the results:
 *
 *     request ─ admit ─▶ survey and plan
 *     heartbeats ─ lease service ══ leases, grants ══▶ (agents) ══ results ══▶ collect ─▶ segments ─▶ journal
 *
 * It keeps no state that it cannot read again: surveys, leases and exclusions are on the bus, coverage is in
 * journals and segments. So after a crash another coordinator continues.
 */

import { join } from 'node:path';
import type { AllowedSigner } from '../shared/authorization/allowed-signers.js';
import { assert } from '../shared/base/assert.js';
import type { Clock } from '../shared/base/clock.js';
import { describeError } from '../shared/base/faults.js';
import type { Random } from '../shared/base/random.js';
import { stopController } from '../shared/base/stop.js';
import type { CoordinatorBus, Versioned } from '../shared/bus/interfaces.js';
import type { Disk } from '../shared/host/disk.js';
import type { ResultBatch } from '../shared/survey/results.js';
import { spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import { isOver, isSurveyId, type Survey, type SurveyRequest } from '../shared/survey/survey.js';
import type { Log } from '../shared/telemetry/log.js';
import { admit } from './admission/admission.js';
import { agentHandlers } from './agent-handlers.js';
import { AgentRegistry } from './agents/agent-registry.js';
import { controlHandlers } from './control-handlers.js';
import { Enrolments } from './enrolments.js';
import { AuditLog } from './evidence/audit-log.js';
import { audited } from './evidence/audited-handlers.js';
import { ExclusionService } from './exclusion-service.js';
import { LeaseService } from './lease-service.js';
import { SigningKey } from './storage/signing-key.js';
import { SurveyFolder } from './storage/survey-folder.js';
import { FinishedSurvey } from './survey/finished-survey.js';
import type { KnownSurvey } from './survey/known-survey.js';
import {
  type OrphanedSurvey,
  orphanedSurveys,
  restoredNotice,
  restoreFinished,
  restoreOrphan,
} from './survey/orphaned-surveys.js';
import { readPlan, readSpaceBytes, type StoredPlan } from './survey/stored-space.js';
import { SurveyRecord, takeOver } from './survey/survey-record.js';
import { SurveyRun } from './survey/survey-run.js';
import { Surveys } from './survey/surveys.js';
import { SurveyKeys } from './survey-keys.js';
import { takeResults } from './take-results.js';
import { Uploads } from './uploads.js';

export interface CoordinatorOptions {
  /**
   * If given, surveys that the broker lost are restored from their folders: those in `previous`, which this
   * process led before, as they were; all others paused. Undefined in `scan`, whose broker is always new.
   */
  readonly restoresOrphans?: { readonly previous: readonly Survey[] };
  /** False if the control API is not served, as in `scan`. */
  readonly servesControl?: boolean;
  /** The keys that may authorize surveys; undefined if they need no authorization. */
  readonly signers?: readonly AllowedSigner[] | undefined;
  /** The data folder, which contains a folder for each survey. */
  readonly data: string;
  readonly version: string;
  /** Fencing term: see `leader-election.ts`. */
  readonly term: number;
}

export interface CoordinatorDeps {
  readonly bus: CoordinatorBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Log;
  /** Called with each accepted batch, to print rows as they arrive. The next batch waits until this resolves. */
  readonly onBatch?: (run: SurveyRun, batch: ResultBatch) => Promise<void>;
}

export class Coordinator {
  readonly clock: Clock;
  readonly surveys = new Surveys((id) => this.#findFinished(id));
  readonly agents: AgentRegistry;
  readonly exclusions: ExclusionService;
  readonly leases: LeaseService;
  readonly uploads: Uploads;
  readonly enrolments: Enrolments;
  readonly signingKey: SigningKey;
  readonly #options: CoordinatorOptions;
  readonly #deps: CoordinatorDeps;
  readonly #running = new Set<Promise<void>>();
  readonly #auditLog: AuditLog;
  readonly #keys: Promise<SurveyKeys>;
  #readingFinished: Promise<void> = Promise.resolve();
  #signal: AbortSignal = stopController().signal;

  constructor(options: CoordinatorOptions, deps: CoordinatorDeps) {
    assert(options.term > 0, `a coordinator of term ${options.term}`);
    this.#options = options;
    this.#deps = deps;
    this.clock = deps.clock;
    this.agents = new AgentRegistry(deps.clock);
    this.signingKey = new SigningKey(options.data, deps.disk);
    this.#auditLog = new AuditLog(options.data, { ...deps, signingKey: this.signingKey });
    this.#keys = SurveyKeys.open(options.data, deps.disk, deps.random);
    this.#keys.catch(() => {}); // reported by `run`
    this.exclusions = new ExclusionService(options.data, deps);
    this.uploads = new Uploads(deps.bus.spaces, deps.clock);
    this.enrolments = new Enrolments(deps.clock);
    this.leases = new LeaseService({
      ...{ clock: deps.clock, term: options.term, agents: this.agents },
      running: this.surveys.running,
      exclusions: this.exclusions.list,
    });
  }

  /** Works until the signal aborts: resumes unfinished surveys, serves requests, reads finished surveys. */
  async run(signal: AbortSignal): Promise<void> {
    const { bus } = this.#deps;
    this.#signal = signal;
    await Promise.all([this.#keys, this.signingKey.open(), this.exclusions.restore()]);
    const loops = [this.#followExclusions(signal)];
    const found = await bus.surveys.list();
    const over = found.filter(({ value }) => isOver(value.state));
    const unfinished = found.filter((each) => !over.includes(each));
    await Promise.all(unfinished.map((survey) => this.#resume(survey)));
    const known = new Set(found.map(({ value }) => value.id));
    await this.#restoreOrphans(known);
    // Heartbeats, results and requests wait until here, where every unfinished survey has its `SurveyRun`. Our
    // term may have ended meanwhile.
    if (!signal.aborted) {
      const finished = over.map(({ value }) => value);
      this.#readingFinished = this.#readAllFinished(finished, known);
      bus.agents.serve(agentHandlers(this), signal);
      bus.agents.announce('');
      bus.enrolments.serve((enrolment) => this.enrolments.add(enrolment), signal);
      if (this.#options.servesControl !== false)
        bus.people.serve(audited(controlHandlers(this), this.#auditLog), signal);
      const results = takeResults({ ...this.#deps, running: this.surveys.running }, signal);
      loops.push(this.leases.pace.run(signal), results, this.#readingFinished);
    }
    await Promise.all(loops);
    await Promise.all(this.#running);
  }

  /** Admits a survey whose target space is in the object store, and starts it. @throws Fault if refused */
  async launch(request: SurveyRequest): Promise<SurveyRun> {
    const { bus, clock, random, log } = this.#deps;
    const space = await readSpaceBytes(bus.spaces, request.spaceHash);
    const context = { random, now: clock.wall(), signers: this.#options.signers };
    const { survey, plan } = admit(request, spaceFromBytes(space), context);
    // The run must exist before agents know the survey, because batches may arrive at once; it starts once
    // the record is written.
    const run = await this.#open(survey, { plan, space });
    try {
      const isRestorable = this.#options.restoresOrphans !== undefined;
      const rules = await bus.spaces.get(request.rulesHash);
      await run.folder.create(survey, { space, rules, isRestorable });
      await run.record.write(() => survey);
    } catch (error) {
      this.surveys.running.delete(survey.id);
      throw error;
    }
    this.#start(run);
    log.info({ survey: survey.id, targets: plan.size, shards: plan.shardCount }, 'survey admitted');
    return run;
  }

  /** Resumes a survey of an earlier coordinator. A failure is logged, and does not affect other surveys. */
  async #resume(found: Versioned<Survey>): Promise<void> {
    const { bus, log } = this.#deps;
    const { id } = found.value;
    try {
      const stored = await readPlan(bus.spaces, found.value);
      await this.#folderOf(found.value).refuseIfUnusable();
      const { survey, record } = await takeOver(bus.surveys, this.#options.term, found);
      this.#start(await this.#open(survey, stored, record));
    } catch (error) {
      log.error({ survey: id, error: describeError(error) }, 'cannot resume survey');
    }
  }

  /** Restores the unfinished surveys in our data folder that the broker does not know. */
  async #restoreOrphans(known: ReadonlySet<string>): Promise<void> {
    const { restoresOrphans, data } = this.#options;
    if (restoresOrphans === undefined) return;
    for await (const orphan of orphanedSurveys(data, known, restoresOrphans.previous, this.#deps)) {
      await this.#restore(orphan).catch((error: unknown) => {
        const { id } = orphan.survey;
        this.#deps.log.error({ survey: id, error: describeError(error) }, 'cannot restore survey');
      });
    }
  }

  async #restore(orphan: OrphanedSurvey): Promise<void> {
    const { bus, log, clock } = this.#deps;
    const { survey, stored, record } = await restoreOrphan(orphan, bus, this.#options.term);
    const run = await this.#open(survey, stored, record);
    run.notice = restoredNotice(survey, clock.wall());
    log.error({ survey: survey.id, state: survey.state }, run.notice);
    this.#start(run);
  }

  /** @param record the survey's record, if another coordinator may have led it; undefined for a new survey */
  async #open(survey: Survey, stored: StoredPlan, record?: SurveyRecord): Promise<SurveyRun> {
    const { bus, clock, log, random } = this.#deps;
    const { version, term } = this.#options;
    const keys = await this.#keys;
    assert(!this.surveys.running.has(survey.id), `survey ${survey.id} is opened twice`);
    const run = new SurveyRun(survey, stored, {
      ...{ bus, clock, log, random, version, term, keys },
      onCaught: (id, { agent, reason }) => {
        const request = { survey: id, agent, reason };
        void this.#auditLog.add({
          person: 'coordinator',
          verb: 'distrust',
          request,
          outcome: 'done',
        });
      },
      folder: this.#folderOf(survey),
      isResumed: record !== undefined,
      pace: this.leases.pace,
      record: record ?? new SurveyRecord(bus.surveys, term),
      exclusions: this.exclusions.list,
      isServing: (agent, id) => this.agents.isServing(agent, id),
    });
    this.surveys.running.set(survey.id, run);
    return run;
  }

  #start(run: SurveyRun): void {
    const running = run.run(this.#signal).finally(() => {
      this.#running.delete(running);
      const { survey } = run;
      if (!isOver(survey.state)) return;
      const summary = { status: run.status, findings: run.storer.table.findings };
      this.surveys.onEnded(new FinishedSurvey(survey, summary, this.#finishedDeps(survey)));
    });
    this.#running.add(running);
  }

  /**
   * Reads the surveys that are over, of which there may be many, also those that the broker lost. Meanwhile,
   * requests about running surveys are answered; all others have to wait.
   */
  async #readAllFinished(over: readonly Survey[], known: ReadonlySet<string>): Promise<void> {
    const { restoresOrphans, data, term } = this.#options;
    const lost = restoresOrphans && (await restoreFinished(data, known, { ...this.#deps, term }));
    for (const survey of [...over, ...(lost ?? [])]) {
      if (this.#signal.aborted) return;
      try {
        this.surveys.onEnded(await FinishedSurvey.read(survey, this.#finishedDeps(survey)));
      } catch (error) {
        const details = { survey: survey.id, error: describeError(error) };
        this.#deps.log.warn(details, 'failed to load finished survey');
      }
    }
  }

  /** A finished survey that is no longer in memory; undefined if there is none with this id. */
  async #findFinished(id: string): Promise<FinishedSurvey | undefined> {
    await this.#readingFinished;
    if (!isSurveyId(id)) return undefined;
    const found = (await this.#deps.bus.surveys.read(id))?.value;
    if (found === undefined || !isOver(found.state)) return undefined;
    return await FinishedSurvey.read(found, this.#finishedDeps(found));
  }

  #finishedDeps(survey: Survey) {
    const folder = this.#folderOf(survey);
    return { folder, exclusions: this.exclusions.list, spaces: this.#deps.bus.spaces };
  }

  #folderOf({ id, segmentFormat }: Survey): SurveyFolder {
    const { data, term } = this.#options;
    const deps = { disk: this.#deps.disk, term, signingKey: this.signingKey };
    return new SurveyFolder(join(data, id), segmentFormat, deps);
  }

  async #followExclusions(signal: AbortSignal): Promise<void> {
    for await (const _version of this.exclusions.follow(signal)) this.requireExclusions();
  }

  /** Requests a heartbeat from every agent, whose answer has the latest version of the exclusions. */
  requireExclusions(): void {
    this.#deps.bus.agents.announce('');
  }

  /**
   * The survey whose id is `text`; otherwise the only one whose name is `text`, or whose id starts with it.
   * @throws Fault UNKNOWN_SURVEY or BAD_OPTION
   */
  async find(text: string): Promise<KnownSurvey> {
    if (!this.surveys.running.has(text)) await this.#readingFinished;
    return await this.surveys.find(text);
  }
}
