/**
 * The surveys this agent works on. It opens a mission for each survey it can serve, remembers which it
 * cannot serve and until when, and says why in one sentence.
 */
import { describeError, Fault } from '../shared/base/faults.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { Exclusions } from '../shared/survey/policy/exclusions.js';
import { isEnding, type Survey } from '../shared/survey/survey.js';
import type { AgentDeps } from './agent.js';
import type { HeldShard } from './held-shard.js';
import { type JoinedSurvey, joinSurvey } from './joined-survey.js';

/** A survey that this agent cannot serve is tried again after this. */
export const RETRY_MILLIS = 5000;

/** Why no shards of a survey are taken, and until when by our monotonic clock. */
interface Refusal {
  readonly reason: string;
  readonly until: number;
}

export class JoinedSurveys {
  readonly #parts: AgentDeps;
  readonly #exclusions: Exclusions;
  readonly #open = new Map<string, JoinedSurvey>();
  readonly #opening = new Map<string, Promise<JoinedSurvey | undefined>>();
  /** Surveys that are not ending, as last heard of. */
  readonly #active = new Map<string, Survey>();
  readonly #refusals = new Map<string, Refusal>();

  constructor(deps: AgentDeps, exclusions: Exclusions) {
    this.#parts = deps;
    this.#exclusions = exclusions;
  }

  /**
   * What needs a person; empty where nothing does. It is told until the survey it is about is served
   * again, or has ended and the refusal has lapsed.
   */
  get problem(): string {
    for (const [survey, { reason }] of this.#refusals)
      if (this.#active.has(survey) || this.#isRefused(survey)) return reason;
    return '';
  }

  /** Takes note of a survey as it is now. */
  onSurveyChange(survey: Survey): void {
    if (!isEnding(survey.state)) this.#active.set(survey.id, survey);
    else this.#active.delete(survey.id);
  }

  isActive(survey: string): boolean {
    return this.#active.has(survey);
  }

  /** Whether shards of a survey may be leased at present. */
  canLease(survey: string): boolean {
    const isRunning = this.#active.get(survey)?.state === 'running';
    return isRunning && !this.#isRefused(survey) && !this.get(survey)?.hasLostNetwork;
  }

  get all(): readonly JoinedSurvey[] {
    return [...this.#open.values()];
  }

  get shards(): readonly HeldShard[] {
    return this.all.flatMap(({ held }) => [...held.values()]);
  }

  get(survey: string): JoinedSurvey | undefined {
    return this.#open.get(survey);
  }

  /** The mission for a survey, opened where it can be; none while it is refused. Never throws. */
  async for(survey: Survey): Promise<JoinedSurvey | undefined> {
    const { id } = survey;
    if (this.#isRefused(id)) return undefined;
    const known = this.#open.get(id);
    if (known?.hasLostNetwork) return undefined;
    if (known !== undefined) {
      this.#refusals.delete(id);
      return known;
    }
    const opening = this.#opening.get(id) ?? this.#openFor(survey);
    this.#opening.set(id, opening);
    return await opening.finally(() => this.#opening.delete(id));
  }

  async #openFor(survey: Survey): Promise<JoinedSurvey | undefined> {
    const { bus, clock, log, openNetworkIo } = this.#parts;
    try {
      refuseOtherVersions(survey);
      const joined = await joinSurvey(bus, survey, openNetworkIo, clock);
      this.#open.set(survey.id, joined);
      joined.setExclusions(this.#exclusions);
      // It may have changed while we made ready, when nobody was there to be told.
      joined.onSurveyChange((await bus.surveys.read(survey.id))?.value ?? survey);
      this.#refusals.delete(survey.id);
      log.info({ survey: survey.id, wire: joined.networkIo.sender.transmit }, 'survey joined');
      for (const note of joined.networkIo.notes) log.warn({ survey: survey.id }, note);
      return joined;
    } catch (error) {
      this.refuse(survey.id, describeError(error), RETRY_MILLIS);
      return undefined;
    }
  }

  /** Takes no shards of a survey for a while; saying so again meanwhile makes it no longer. */
  refuse(survey: string, reason: string, millis: number): void {
    const known = this.#refusals.get(survey);
    if (known?.reason !== reason)
      this.#parts.log.error({ survey, error: reason }, 'survey refused');
    else if (this.#isRefused(survey)) return;
    for (const other of this.#refusals.keys())
      if (!this.#active.has(other) && !this.#isRefused(other)) this.#refusals.delete(other);
    this.#refusals.set(survey, { reason, until: this.#parts.clock.monotonic() + millis });
  }

  #isRefused(survey: string): boolean {
    return this.#parts.clock.monotonic() < (this.#refusals.get(survey)?.until ?? 0);
  }

  async close(joined: JoinedSurvey): Promise<void> {
    this.#open.delete(joined.survey.id);
    await joined.close();
  }
}

function refuseOtherVersions({ protocol }: Survey): void {
  if (protocol === PROTOCOL) return;
  const reason =
    `this agent speaks protocol ${PROTOCOL} and the coordinator ${protocol}: ` +
    'run the same version of Transect on both';
  throw new Fault('VERSION_SKEW', reason);
}
