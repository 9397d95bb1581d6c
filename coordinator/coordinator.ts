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
import type { Bus, ResultDelivery, Versioned } from '../shared/bus/ports.js';
import type { Disk } from '../shared/host/disk.js';
import { Plan } from '../shared/survey/plan.js';
import type { ResultBatch } from '../shared/survey/results.js';
import { refuseOtherBytes, spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import type { SurveyStatus } from '../shared/survey/status.js';
import { isOver, type Survey, type SurveyRequest } from '../shared/survey/survey.js';
import type { Log } from '../shared/telemetry/log.js';
import { controlHandlers } from './control.js';
import { ExclusionDesk } from './exclusion-desk.js';
import type { Fleet } from './fleet.js';
import { admit } from './intake/intake.js';
import { MusterRoll } from './muster-roll.js';
import { readManifestStatus } from './sink/manifest.js';
import { SURVEY_FILE } from './sink/survey-folder.js';
import { PastSurvey } from './survey/past-survey.js';
import { SurveyRecord, takeOver } from './survey/survey-record.js';
import { SurveyRun } from './survey/survey-run.js';
import { type KnownSurvey, Surveys } from './survey/surveys.js';
import { Vault } from './vault.js';

/** What ids of surveys look like. */
const ID = /^[a-z0-9]{1,32}$/;

export interface CoordinatorOptions {
  /** Whether it answers the command line; not where nobody else is to speak to it. */
  readonly isAnswering?: boolean;
  /** Folder of segments and manifests. */
  readonly data: string;
  readonly version: string;
  /** Counts the coordinators there have been on this broker; see `leadership.ts`. */
  readonly term: number;
}

export interface CoordinatorParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Log;
  /** Sees each batch as it comes, before it is stored, and is waited for: for rows that cannot wait. */
  readonly onBatch?: (run: SurveyRun, batch: ResultBatch) => Promise<void>;
}

export class Coordinator {
  readonly surveys = new Surveys((id) => this.#readPast(id));
  readonly #options: CoordinatorOptions;
  readonly #parts: CoordinatorParts;
  readonly clock: Clock;
  readonly agents: MusterRoll;
  readonly exclusions: ExclusionDesk;
  readonly #running = new Set<Promise<void>>();
  #recalling: Promise<void> = Promise.resolve();
  #signal: AbortSignal = stopController().signal;

  constructor(options: CoordinatorOptions, parts: CoordinatorParts) {
    this.#options = options;
    this.#parts = parts;
    this.clock = parts.clock;
    this.agents = new MusterRoll(parts.clock);
    this.exclusions = new ExclusionDesk(options.data, parts);
  }

  /** Works until the signal aborts: takes up the surveys there are, serves requests, recalls what is over. */
  async run(signal: AbortSignal): Promise<void> {
    const { bus } = this.#parts;
    this.#signal = signal;
    await this.exclusions.restore();
    const hearing = [this.#hear(signal), this.#followExclusions(signal)];
    const found = await bus.surveys.list();
    const [over, goingOn] = [found.filter(hasEnded), found.filter((each) => !hasEnded(each))];
    await Promise.all(goingOn.map((survey) => this.#takeUp(survey)));
    // Only now: every survey that can be taken up has its run. Our term may have ended meanwhile.
    if (!signal.aborted) {
      this.#recalling = this.#recallAll(over, signal);
      if (this.#options.isAnswering !== false) bus.control.serve(controlHandlers(this), signal);
      hearing.push(this.#collect(signal), this.#recalling);
    }
    await Promise.all(hearing);
    await Promise.all(this.#running);
  }

  /** Admits a survey whose space is on the shelf, and starts it. @throws Fault of a refusal */
  async launch(request: SurveyRequest): Promise<SurveyRun> {
    const { clock, random, log } = this.#parts;
    const bytes = await this.#bytesOf(request.spaceHash);
    const { survey, plan } = admit(request, spaceFromBytes(bytes), random, clock.wall());
    // Known here before it is known to anyone, and at work only once agents can read it.
    const run = this.#open(survey, plan);
    const { work } = this.#parts.bus;
    try {
      await Promise.all([run.vault.establish(survey, bytes), work.open(survey.id)]);
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
  async #takeUp(found: Versioned<Survey>): Promise<void> {
    const { bus, log } = this.#parts;
    const { id } = found.value;
    try {
      const plan = await this.#planOf(found.value);
      await this.#refuseStrangers(found.value);
      const { survey, record } = await takeOver(bus.surveys, this.#options.term, found);
      const run = this.#open(survey, plan, record);
      await bus.work.open(id); // a coordinator of an older version has made none
      this.#begin(run);
    } catch (error) {
      log.error({ survey: id, error: describeError(error) }, 'survey cannot be taken up');
    }
  }

  /** What is over can be asked about again; there may be many, and nobody waits for them. */
  async #recallAll(over: readonly Versioned<Survey>[], signal: AbortSignal): Promise<void> {
    for (const { value: survey } of over) {
      if (signal.aborted) return;
      try {
        this.surveys.retire(await this.#recall(survey));
      } catch (error) {
        this.#parts.log.warn({ survey: survey.id, error: describeError(error) }, 'survey unknown');
      }
    }
  }

  /** @param record of a coordinator before us; none for a new survey */
  #open(survey: Survey, plan: Plan, record?: SurveyRecord): SurveyRun {
    const { bus, clock, log } = this.#parts;
    const { version, term } = this.#options;
    const vault = this.#vaultOf(survey);
    const exclusions = this.exclusions.list;
    const run = new SurveyRun(survey, plan, {
      bus,
      clock,
      log,
      vault,
      version,
      term,
      isResumed: record !== undefined,
      record: record ?? new SurveyRecord(bus.surveys, term),
      exclusions,
    });
    this.surveys.running.set(survey.id, run);
    return run;
  }

  #begin(run: SurveyRun): void {
    const running = run.run(this.#signal).finally(() => {
      this.#running.delete(running);
      const { survey, status } = run;
      if (isOver(survey.state)) this.surveys.retire(this.#past(survey, status));
    });
    this.#running.add(running);
  }

  #past(survey: Survey, status: SurveyStatus): PastSurvey {
    return new PastSurvey(survey, status, {
      vault: this.#vaultOf(survey),
      exclusions: this.exclusions.list,
      spaces: this.#parts.bus.spaces,
      planOf: (each) => this.#planOf(each),
    });
  }

  /** What is on disk of a survey that is over. @throws Fault UNWRITABLE or UNKNOWN_SURVEY */
  async #recall(survey: Survey): Promise<PastSurvey> {
    await this.#refuseStrangers(survey);
    const { disk, folder } = this.#vaultOf(survey);
    const status = await readManifestStatus(disk, folder);
    if (status !== undefined) return this.#past(survey, status);
    throw new Fault('UNKNOWN_SURVEY', 'the survey has no manifest', { value: survey.id });
  }

  /** One that is not in memory any more; undefined where there is none of this id. */
  async #readPast(id: string): Promise<PastSurvey | undefined> {
    await this.#recalling;
    if (!ID.test(id)) return undefined;
    const found = (await this.#parts.bus.surveys.read(id))?.value;
    return found !== undefined && isOver(found.state) ? await this.#recall(found) : undefined;
  }

  #vaultOf({ id, output }: Survey): Vault {
    const { data, term } = this.#options;
    return new Vault(join(data, id), output, { disk: this.#parts.disk, term });
  }

  async #collect(signal: AbortSignal): Promise<void> {
    for await (const delivery of this.#parts.bus.results.consume(signal)) {
      const run = this.surveys.running.get(delivery.batch.survey);
      if (run === undefined) void this.#letGo(delivery);
      else {
        const mayCount = run.collect(delivery);
        if (mayCount) await this.#parts.onBatch?.(run, delivery.batch);
      }
    }
  }

  /** A batch of a survey that is over, or that nobody knows, is of no use; others wait for their survey. */
  async #letGo(delivery: ResultDelivery): Promise<void> {
    try {
      const survey = (await this.#parts.bus.surveys.read(delivery.batch.survey))?.value;
      if (survey === undefined || isOver(survey.state)) delivery.stored();
    } catch (error) {
      this.#parts.log.error(
        { error: describeError(error) },
        'a batch of an unreadable survey is kept',
      );
    }
  }

  async #hear(signal: AbortSignal): Promise<void> {
    const { bus } = this.#parts;
    for await (const heartbeat of bus.rollCall.hear(signal)) {
      this.agents.see(heartbeat);
      if (heartbeat.protocol !== PROTOCOL) continue; // the muster roll says why it is lent nothing
      for (const { survey } of heartbeat.activities) {
        const grant = this.surveys.running.get(survey)?.hear(heartbeat);
        if (grant !== undefined) bus.rates.lend(grant);
      }
    }
  }

  async #followExclusions(signal: AbortSignal): Promise<void> {
    for await (const _version of this.exclusions.follow(signal)) {
      for (const run of this.surveys.running.values()) run.remind();
    }
  }

  /** Of the surveys that are not over. */
  get fleets(): readonly Fleet[] {
    const running = [...this.surveys.running.values()];
    return running.filter(({ survey }) => !isOver(survey.state)).map(({ fleet }) => fleet);
  }

  /** By id, or by a name or the start of an id that fits one survey only. @throws Fault UNKNOWN_SURVEY */
  async find(text: string): Promise<KnownSurvey> {
    if (!this.surveys.running.has(text)) await this.#recalling;
    return await this.surveys.find(text);
  }

  /** The results of a survey are where its coordinator stores them. @throws Fault UNWRITABLE */
  async #refuseStrangers({ id }: Survey): Promise<void> {
    const file = join(this.#options.data, id, SURVEY_FILE);
    if ((await this.#parts.disk.size(file)) > 0) return;
    const why =
      'its results are stored elsewhere: start with the --data folder it was launched with';
    throw new Fault('UNWRITABLE', why, { flag: '--data', file });
  }

  async #planOf(survey: Survey): Promise<Plan> {
    const space = spaceFromBytes(await this.#bytesOf(survey.spaceHash));
    return new Plan(space, survey.seed, survey.shardLength);
  }

  async #bytesOf(hash: string): Promise<Uint8Array> {
    const bytes = await this.#parts.bus.spaces.get(hash).catch((cause: unknown) => {
      throw new Fault('BAD_MESSAGE', `cannot read the space: ${describeError(cause)}`, {}, cause);
    });
    if (bytes === undefined) throw new Fault('BAD_MESSAGE', 'the space is not on the shelf');
    refuseOtherBytes(bytes, hash, 'the space');
    return bytes;
  }
}

function hasEnded({ value }: Versioned<Survey>): boolean {
  return isOver(value.state);
}
