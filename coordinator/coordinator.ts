/**
 * The coordinator's story. It admits surveys, plans them, offers their shards, lends their rate, and
 * stores what comes back:
 *
 *     request ─ admit ─▶ survey and plan ─ dispatch ══▶ (agents) ══▶ collect ─▶ sink ─▶ ledger
 *     heartbeats ──▶ governor ══ grants ══▶ (agents)
 *
 * Everything it knows it can read again: surveys, leases and exclusions from the bus, coverage from
 * journals and segments. So another one carries on where it died.
 */

import { join } from 'node:path';
import type { Clock } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import type { Random } from '../shared/base/random.js';
import { stopController } from '../shared/base/stop.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { Bus, ResultDelivery, Versioned } from '../shared/bus/interfaces.js';
import type { Disk } from '../shared/host/disk.js';
import { Plan } from '../shared/survey/plan.js';
import type { ResultBatch } from '../shared/survey/results.js';
import { spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import type { SurveyStatus } from '../shared/survey/status.js';
import { isOver, isSurveyId, type Survey, type SurveyRequest } from '../shared/survey/survey.js';
import type { Log } from '../shared/telemetry/log.js';
import { admit } from './admission/admission.js';
import { AgentRegistry } from './agents/agent-registry.js';
import type { SurveyAgents } from './agents/survey-agents.js';
import { controlHandlers } from './control-handlers.js';
import { ExclusionService } from './exclusion-service.js';
import { readManifestStatus } from './storage/manifest.js';
import { SurveyFolder } from './storage/survey-folder.js';
import { FinishedSurvey } from './survey/finished-survey.js';
import { noticeOf, type OrphanedSurvey, orphanedSurveys } from './survey/orphaned-surveys.js';
import { readPlan, readSpaceBytes } from './survey/stored-space.js';
import { SurveyRecord, takeOver } from './survey/survey-record.js';
import { SurveyRun } from './survey/survey-run.js';
import { type KnownSurvey, Surveys } from './survey/surveys.js';

/** More than a shard has in one term. */
const EPOCHS_PER_TERM = 65_536;

export interface CoordinatorOptions {
  /**
   * Where the broker has forgotten surveys that are under way, they are put back from their folders: those
   * that this process led before, as they were, and others paused, for a person to resume. Absent where a
   * broker is new each time.
   */
  readonly orphans?: { readonly before: readonly Survey[] };
  /** Whether it answers the command line; not where nobody else is to speak to it. */
  readonly isAnswering?: boolean;
  /** Folder of segments and manifests. */
  readonly data: string;
  readonly version: string;
  /** Counts the coordinators there have been on this broker; see `leadership.ts`. */
  readonly term: number;
}

export interface CoordinatorDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Log;
  /** Sees each batch as it comes, before it is stored, and is waited for: for rows that cannot wait. */
  readonly onBatch?: (run: SurveyRun, batch: ResultBatch) => Promise<void>;
}

export class Coordinator {
  readonly surveys = new Surveys((id) => this.#findFinished(id));
  readonly #options: CoordinatorOptions;
  readonly #parts: CoordinatorDeps;
  readonly clock: Clock;
  readonly agents: AgentRegistry;
  readonly exclusions: ExclusionService;
  readonly #running = new Set<Promise<void>>();
  #readingFinished: Promise<void> = Promise.resolve();
  #signal: AbortSignal = stopController().signal;

  constructor(options: CoordinatorOptions, deps: CoordinatorDeps) {
    this.#options = options;
    this.#parts = deps;
    this.clock = deps.clock;
    this.agents = new AgentRegistry(deps.clock);
    this.exclusions = new ExclusionService(options.data, deps);
  }

  /** Works until the signal aborts: takes up the surveys there are, serves requests, recalls what is over. */
  async run(signal: AbortSignal): Promise<void> {
    const { bus } = this.#parts;
    this.#signal = signal;
    await this.exclusions.restore();
    const hearing = [this.#hear(signal), this.#followExclusions(signal)];
    const found = await bus.surveys.list();
    const [over, goingOn] = [found.filter(hasEnded), found.filter((each) => !hasEnded(each))];
    await Promise.all(goingOn.map((survey) => this.#resume(survey)));
    await this.#restoreOrphans(new Set(found.map(({ value }) => value.id)));
    // Only now: every survey that can be taken up has its run. Our term may have ended meanwhile.
    if (!signal.aborted) {
      this.#readingFinished = this.#readAllFinished(over, signal);
      if (this.#options.isAnswering !== false) bus.control.serve(controlHandlers(this), signal);
      hearing.push(this.#collect(signal), this.#readingFinished);
    }
    await Promise.all(hearing);
    await Promise.all(this.#running);
  }

  /** Admits a survey whose space is on the shelf, and starts it. @throws Fault of a refusal */
  async launch(request: SurveyRequest): Promise<SurveyRun> {
    const { clock, random, log } = this.#parts;
    const bytes = await readSpaceBytes(this.#parts.bus.spaces, request.spaceHash);
    const { survey, plan } = admit(request, spaceFromBytes(bytes), random, clock.wall());
    // Known here before it is known to anyone, and at work only once agents can read it.
    const run = this.#open(survey, plan);
    const { work } = this.#parts.bus;
    try {
      const isRestorable = this.#options.orphans !== undefined;
      const rules = await this.#parts.bus.spaces.get(request.rulesHash);
      await Promise.all([
        run.surveyFolder.create(survey, { space: bytes, rules, isRestorable }),
        work.open(survey.id),
      ]);
    } catch (error) {
      this.surveys.running.delete(survey.id);
      await work.close(survey.id);
      throw error;
    }
    await run.record.write(() => survey);
    this.#begin(run);
    log.info({ survey: survey.id, targets: plan.size, shards: plan.shardCount }, 'survey admitted');
    return run;
  }

  /** A survey that cannot be taken up is told, and does not keep the others from it. */
  async #resume(found: Versioned<Survey>): Promise<void> {
    const { bus, log } = this.#parts;
    const { id } = found.value;
    try {
      const plan = await readPlan(bus.spaces, found.value);
      await this.#vaultOf(found.value).refuseForeignFolder();
      const { survey, record } = await takeOver(bus.surveys, this.#options.term, found);
      await bus.work.open(id); // a coordinator of an older version has made none
      this.#begin(this.#open(survey, plan, record));
    } catch (error) {
      log.error({ survey: id, error: describeError(error) }, 'survey cannot be taken up');
    }
  }

  /** Surveys that are under way in our folder, and that the broker knows nothing of. */
  async #restoreOrphans(known: ReadonlySet<string>): Promise<void> {
    const { orphans, data } = this.#options;
    if (orphans === undefined) return;
    for await (const each of orphanedSurveys(data, known, orphans.before, this.#parts)) {
      await this.#restore(each).catch((error: unknown) => {
        const { id } = each.survey;
        this.#parts.log.error({ survey: id, error: describeError(error) }, 'cannot be put back');
      });
    }
  }

  async #restore({ survey: found, space, rules }: OrphanedSurvey): Promise<void> {
    const { bus, log, clock } = this.#parts;
    const { id, state } = found;
    const firstEpoch = this.#options.term * EPOCHS_PER_TERM;
    const survey = { ...found, storedBelow: 0, firstEpoch, protocol: PROTOCOL };
    const plan = new Plan(spaceFromBytes(space), survey.seed, survey.shardLength);
    if (plan.hash !== found.planHash) throw new Fault('PLAN_MISMATCH', 'it was planned otherwise');
    await bus.spaces.put(found.spaceHash, space);
    if (rules !== undefined) await bus.spaces.put(found.rulesHash, rules);
    const record = new SurveyRecord(bus.surveys, this.#options.term);
    await record.write(() => survey);
    await bus.work.open(id);
    const run = this.#open(survey, plan, record);
    run.notice = noticeOf(survey, clock.wall());
    log.error({ survey: id, state }, run.notice);
    this.#begin(run);
  }

  /** What is over can be asked about again; there may be many, and nobody waits for them. */
  async #readAllFinished(over: readonly Versioned<Survey>[], signal: AbortSignal): Promise<void> {
    for (const { value: survey } of over) {
      if (signal.aborted) return;
      try {
        this.surveys.onEnded(await this.#readFinished(survey));
      } catch (error) {
        this.#parts.log.warn({ survey: survey.id, error: describeError(error) }, 'survey unknown');
      }
    }
  }

  /** @param record of a survey that agents may have worked on before; none for a new one */
  #open(survey: Survey, plan: Plan, record?: SurveyRecord): SurveyRun {
    const { bus, clock, log } = this.#parts;
    const { version, term } = this.#options;
    const run = new SurveyRun(survey, plan, {
      ...{ bus, clock, log, version, term },
      surveyFolder: this.#vaultOf(survey),
      isResumed: record !== undefined,
      record: record ?? new SurveyRecord(bus.surveys, term),
      exclusions: this.exclusions.list,
    });
    this.surveys.running.set(survey.id, run);
    return run;
  }

  #begin(run: SurveyRun): void {
    const running = run.run(this.#signal).finally(() => {
      this.#running.delete(running);
      const { survey, status } = run;
      if (isOver(survey.state)) this.surveys.onEnded(this.#finished(survey, status));
    });
    this.#running.add(running);
  }

  #finished(survey: Survey, status: SurveyStatus): FinishedSurvey {
    return new FinishedSurvey(survey, status, {
      surveyFolder: this.#vaultOf(survey),
      exclusions: this.exclusions.list,
      spaces: this.#parts.bus.spaces,
    });
  }

  /** What is on disk of a survey that is over. @throws Fault UNWRITABLE or UNKNOWN_SURVEY */
  async #readFinished(survey: Survey): Promise<FinishedSurvey> {
    const surveyFolder = this.#vaultOf(survey);
    await surveyFolder.refuseForeignFolder();
    const status = await readManifestStatus(surveyFolder.disk, surveyFolder.folder);
    if (status !== undefined) return this.#finished(survey, status);
    throw new Fault('UNKNOWN_SURVEY', 'the survey has no manifest', { value: survey.id });
  }

  /** One that is not in memory any more; undefined where there is none of this id. */
  async #findFinished(id: string): Promise<FinishedSurvey | undefined> {
    await this.#readingFinished;
    if (!isSurveyId(id)) return undefined;
    const found = (await this.#parts.bus.surveys.read(id))?.value;
    return found !== undefined && isOver(found.state) ? await this.#readFinished(found) : undefined;
  }

  #vaultOf({ id, segmentFormat }: Survey): SurveyFolder {
    const { data, term } = this.#options;
    return new SurveyFolder(join(data, id), segmentFormat, { disk: this.#parts.disk, term });
  }

  async #collect(signal: AbortSignal): Promise<void> {
    for await (const delivery of this.#parts.bus.results.consume(signal)) {
      const run = this.surveys.running.get(delivery.batch.survey);
      if (run === undefined) void this.#dropIfUseless(delivery);
      else {
        const mayCount = run.collect(delivery);
        if (mayCount) await this.#parts.onBatch?.(run, delivery.batch);
      }
    }
  }

  /** A batch of a survey that is over, or that nobody knows, is of no use; others wait for their survey. */
  async #dropIfUseless(delivery: ResultDelivery): Promise<void> {
    try {
      const survey = (await this.#parts.bus.surveys.read(delivery.batch.survey))?.value;
      if (survey === undefined || isOver(survey.state)) delivery.acknowledge();
    } catch (error) {
      this.#parts.log.error({ error: describeError(error) }, 'survey unreadable: a batch is kept');
    }
  }

  async #hear(signal: AbortSignal): Promise<void> {
    const { bus } = this.#parts;
    for await (const heartbeat of bus.heartbeats.subscribe(signal)) {
      this.agents.see(heartbeat);
      if (heartbeat.protocol !== PROTOCOL) continue; // the muster roll says why it is lent nothing
      for (const { survey } of heartbeat.activities) {
        const grant = this.surveys.running.get(survey)?.hear(heartbeat);
        if (grant !== undefined) bus.grants.publish(grant);
      }
    }
  }

  async #followExclusions(signal: AbortSignal): Promise<void> {
    for await (const _version of this.exclusions.follow(signal)) {
      for (const run of this.surveys.running.values()) run.renewGrants();
    }
  }

  /** Of the surveys that are not over. */
  get surveyAgents(): readonly SurveyAgents[] {
    const running = [...this.surveys.running.values()];
    return running
      .filter(({ survey }) => !isOver(survey.state))
      .map(({ surveyAgents }) => surveyAgents);
  }

  /** By id, or by a name or the start of an id that fits one survey only. @throws Fault UNKNOWN_SURVEY */
  async find(text: string): Promise<KnownSurvey> {
    if (!this.surveys.running.has(text)) await this.#readingFinished;
    return await this.surveys.find(text);
  }
}

function hasEnded({ value }: Versioned<Survey>): boolean {
  return isOver(value.state);
}
