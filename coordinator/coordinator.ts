/**
 * The coordinator's story. It admits surveys, plans them, offers their shards, lends their rate, and
 * stores what comes back:
 *
 *     request ─ admit ─▶ survey and plan ─ dispatch ══▶ (agents) ══▶ collect ─▶ sink ─▶ ledger
 *     heartbeats ──▶ governor ══ grants ══▶ (agents)
 *
 * Everything it knows it can read again: surveys and leases from the bus, coverage from segments.
 */

import { join } from 'node:path';
import type { Clock } from '../shared/base/clock.js';
import type { Disk } from '../shared/base/disk.js';
import { describeError, Fault } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import type { Random } from '../shared/base/random.js';
import { stopController } from '../shared/base/stop.js';
import type { Activity, Bus, ControlHandlers, Heartbeat } from '../shared/bus/ports.js';
import { Plan } from '../shared/survey/plan.js';
import type { ResultBatch } from '../shared/survey/results.js';
import type { Space } from '../shared/survey/space/space.js';
import { spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import type { AgentStatus } from '../shared/survey/status.js';
import { isOver, type Survey, type SurveyRequest } from '../shared/survey/survey.js';
import { targetsOf } from '../shared/survey/target-list.js';
import type { Log } from '../shared/telemetry/log.js';
import { admit } from './intake/intake.js';
import { SegmentStore } from './sink/segments.js';
import { SurveyRun } from './survey-run.js';

export interface CoordinatorOptions {
  /** Folder of segments and manifests. */
  readonly data: string;
  readonly version: string;
}

export interface CoordinatorParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Log;
  /** Sees each batch as it comes, before it is stored: for rows that cannot wait. */
  readonly onBatch?: (plan: Plan, batch: ResultBatch) => void;
}

interface Known {
  readonly heartbeat: Heartbeat;
  readonly seenAt: number;
}

export class Coordinator {
  readonly runs = new Map<string, SurveyRun>();
  readonly #options: CoordinatorOptions;
  readonly #parts: CoordinatorParts;
  readonly #agents = new Map<string, Known>();
  readonly #running = new Set<Promise<void>>();
  #signal: AbortSignal = stopController().signal;

  constructor(options: CoordinatorOptions, parts: CoordinatorParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Works until the signal aborts: takes up the surveys there are, and serves requests. */
  async run(signal: AbortSignal): Promise<void> {
    const { bus } = this.#parts;
    this.#signal = signal;
    const hearing = this.#hear(signal);
    for (const survey of await bus.surveys.list()) await this.#takeUp(survey);
    bus.control.serve(this.#handlers(), signal);
    // Only now: every survey that may have batches has its run.
    await Promise.all([hearing, this.#collect(signal)]);
    await Promise.all(this.#running);
  }

  /** Admits a survey whose space is on the shelf, and starts it. @throws Fault of a refusal */
  async launch(request: SurveyRequest): Promise<SurveyRun> {
    const { bus, clock, random, log } = this.#parts;
    const space = await this.#spaceOf(request.spaceHash);
    const { survey, plan } = admit(request, space, random, clock.wall());
    // Known here before it is known to anyone, and at work only once agents can read it.
    const run = this.#open(survey, plan, false);
    await bus.surveys.put(survey);
    this.#begin(run);
    log.info({ survey: survey.id, targets: plan.size, shards: plan.shardCount }, 'survey admitted');
    return run;
  }

  get agents(): readonly AgentStatus[] {
    const now = this.#parts.clock.monotonic();
    return [...this.#agents.values()].map(({ heartbeat, seenAt }) => {
      const { agent, vantage, version, trouble, activities } = heartbeat;
      const seenMillisAgo = now - seenAt;
      const state = seenMillisAgo > LIMITS.agentGoneMillis ? 'gone' : heartbeat.state;
      const sum = (read: (activity: Activity) => number) =>
        activities.reduce((total, activity) => total + read(activity), 0);
      const rate = sum((activity) => activity.rate);
      const received = sum(({ equipment }) => equipment.received);
      const dropped = sum(({ equipment }) => equipment.dropped + equipment.interfaceDropped);
      return { agent, vantage, version, state, rate, seenMillisAgo, received, dropped, trouble };
    });
  }

  /** A survey that cannot be taken up is told, and does not keep the others from it. */
  async #takeUp(survey: Survey): Promise<void> {
    const { log } = this.#parts;
    try {
      const plan = await this.#planOf(survey);
      if (this.runs.has(survey.id)) return; // launched meanwhile
      const run = this.#open(survey, plan, true);
      if (isOver(survey.state)) await run.recall();
      else this.#begin(run);
    } catch (error) {
      log.error({ survey: survey.id, error: describeError(error) }, 'survey cannot be taken up');
    }
  }

  #open(survey: Survey, plan: Plan, isResumed: boolean): SurveyRun {
    const { bus, clock, log, disk } = this.#parts;
    const { data, version } = this.#options;
    const segments = new SegmentStore(join(data, survey.id), survey.output, disk);
    const run = new SurveyRun(survey, plan, { bus, clock, log, segments, version, isResumed });
    this.runs.set(survey.id, run);
    return run;
  }

  #begin(run: SurveyRun): void {
    const running = run.run(this.#signal).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #collect(signal: AbortSignal): Promise<void> {
    for await (const delivery of this.#parts.bus.results.consume(signal)) {
      const run = this.runs.get(delivery.batch.survey);
      if (run === undefined) delivery.stored();
      else {
        run.collect(delivery);
        this.#parts.onBatch?.(run.plan, delivery.batch);
      }
    }
  }

  async #hear(signal: AbortSignal): Promise<void> {
    const { bus, clock } = this.#parts;
    for await (const heartbeat of bus.rollCall.hear(signal)) {
      this.#agents.set(heartbeat.agent, { heartbeat, seenAt: clock.monotonic() });
      for (const run of this.runs.values()) {
        const grant = run.hear(heartbeat);
        if (grant !== undefined) bus.rates.lend(grant);
      }
    }
  }

  #handlers(): ControlHandlers {
    return {
      launch: async ({ request }) => {
        if (request === undefined) throw new Fault('BAD_MESSAGE', 'nothing is asked for');
        return { survey: (await this.launch(request)).survey.id };
      },
      status: async ({ survey }) => ({
        statuses:
          survey === ''
            ? [...this.runs.values()].map((run) => run.status)
            : [this.#find(survey).status],
      }),
      cancel: async ({ survey, immediately }) => {
        const run = this.#find(survey);
        await run.cancel(immediately);
        return { survey: run.survey.id };
      },
      lookup: async ({ survey, target }) => {
        const run = this.#find(survey);
        const asked = targetsOf(target, run.plan.space.parts.ports);
        return {
          survey: run.survey.id,
          fates: await Promise.all(asked.map((each) => run.fateOf(each))),
        };
      },
      agents: async () => ({ agents: this.agents }),
      segments: async ({ survey }) => {
        const { segments, survey: found } = this.#find(survey);
        return { survey: found.id, shards: await segments.stored(), output: segments.sink.name };
      },
      segment: async ({ survey, shard, offset }) => {
        const bytes = await this.#find(survey).segments.bytes(shard);
        const chunk = bytes.subarray(offset, offset + LIMITS.chunkOctets);
        return { chunk, total: bytes.length };
      },
    };
  }

  /** By id, or by a name or the start of an id that fits one survey only. */
  #find(text: string): SurveyRun {
    const exact = this.runs.get(text);
    if (exact !== undefined) return exact;
    const fitting = [...this.runs.values()].filter(
      ({ survey }) => survey.name === text || survey.id.startsWith(text),
    );
    const [only] = fitting;
    if (only !== undefined && fitting.length === 1) return only;
    const why = fitting.length === 0 ? 'no such survey' : 'several surveys fit; give the whole id';
    throw new Fault('UNKNOWN_SURVEY', why, { value: text });
  }

  async #planOf(survey: Survey): Promise<Plan> {
    return new Plan(await this.#spaceOf(survey.spaceHash), survey.seed, survey.shardLength);
  }

  async #spaceOf(hash: string): Promise<Space> {
    const bytes = await this.#parts.bus.spaces.get(hash).catch((cause: unknown) => {
      throw new Fault('BAD_MESSAGE', `cannot read the space: ${describeError(cause)}`, {}, cause);
    });
    if (bytes === undefined) throw new Fault('BAD_MESSAGE', 'the space is not on the shelf');
    return spaceFromBytes(bytes);
  }
}
