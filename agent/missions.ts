/**
 * The surveys this agent works on. It opens a mission for each survey it can serve, remembers which it
 * cannot serve and until when, and says why in one sentence.
 */
import { describeError, Fault } from '../shared/base/faults.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { Exclusions } from '../shared/survey/exclusions.js';
import { isEnding, type Survey } from '../shared/survey/survey.js';
import type { AgentParts } from './agent.js';
import type { HeldShard } from './held-shard.js';
import { type Mission, openMission } from './mission.js';

/** A survey that this agent cannot serve is tried again after this. */
export const REFUSED_MILLIS = 5000;

/** Why no shards of a survey are taken, and until when by our monotonic clock. */
interface Refusal {
  readonly why: string;
  readonly until: number;
}

export class Missions {
  readonly #parts: AgentParts;
  readonly #exclusions: Exclusions;
  readonly #open = new Map<string, Mission>();
  readonly #opening = new Map<string, Promise<Mission | undefined>>();
  /** Surveys that are not ending, as last heard of. */
  readonly #goingOn = new Map<string, Survey>();
  readonly #refusals = new Map<string, Refusal>();

  constructor(parts: AgentParts, exclusions: Exclusions) {
    this.#parts = parts;
    this.#exclusions = exclusions;
  }

  /**
   * What needs a person; empty where nothing does. It is told until the survey it is about is served
   * again, or has ended and the refusal has lapsed.
   */
  get trouble(): string {
    for (const [survey, { why }] of this.#refusals)
      if (this.#goingOn.has(survey) || this.#isRefused(survey)) return why;
    return '';
  }

  /** Takes note of a survey as it is now. */
  hear(survey: Survey): void {
    if (!isEnding(survey.state)) this.#goingOn.set(survey.id, survey);
    else this.#goingOn.delete(survey.id);
  }

  isGoingOn(survey: string): boolean {
    return this.#goingOn.has(survey);
  }

  /** Whether shards of a survey may be leased at present. */
  mayLease(survey: string): boolean {
    const isRunning = this.#goingOn.get(survey)?.state === 'running';
    return isRunning && !this.#isRefused(survey) && !this.get(survey)?.isDeaf;
  }

  get all(): readonly Mission[] {
    return [...this.#open.values()];
  }

  get shards(): readonly HeldShard[] {
    return this.all.flatMap(({ held }) => [...held.values()]);
  }

  get(survey: string): Mission | undefined {
    return this.#open.get(survey);
  }

  /** The mission for a survey, opened where it can be; none while it is refused. Never throws. */
  async for(survey: Survey): Promise<Mission | undefined> {
    const { id } = survey;
    if (this.#isRefused(id)) return undefined;
    const known = this.#open.get(id);
    if (known?.isDeaf) return undefined;
    if (known !== undefined) {
      this.#refusals.delete(id);
      return known;
    }
    const opening = this.#opening.get(id) ?? this.#openFor(survey);
    this.#opening.set(id, opening);
    return await opening.finally(() => this.#opening.delete(id));
  }

  async #openFor(survey: Survey): Promise<Mission | undefined> {
    const { bus, clock, log, openStation } = this.#parts;
    try {
      refuseOtherVersions(survey);
      const mission = await openMission(bus, survey, openStation, clock);
      this.#open.set(survey.id, mission);
      mission.obey(this.#exclusions);
      // It may have changed while we made ready, when nobody was there to be told.
      mission.become((await bus.surveys.read(survey.id))?.value ?? survey);
      this.#refusals.delete(survey.id);
      log.info({ survey: survey.id, wire: mission.station.sender.wire }, 'survey joined');
      for (const note of mission.station.notes) log.warn({ survey: survey.id }, note);
      return mission;
    } catch (error) {
      this.refuse(survey.id, describeError(error), REFUSED_MILLIS);
      return undefined;
    }
  }

  /** Takes no shards of a survey for a while; saying so again meanwhile makes it no longer. */
  refuse(survey: string, why: string, millis: number): void {
    const known = this.#refusals.get(survey);
    if (known?.why !== why) this.#parts.log.error({ survey, error: why }, 'survey refused');
    else if (this.#isRefused(survey)) return;
    for (const other of this.#refusals.keys())
      if (!this.#goingOn.has(other) && !this.#isRefused(other)) this.#refusals.delete(other);
    this.#refusals.set(survey, { why, until: this.#parts.clock.monotonic() + millis });
  }

  #isRefused(survey: string): boolean {
    return this.#parts.clock.monotonic() < (this.#refusals.get(survey)?.until ?? 0);
  }

  async close(mission: Mission): Promise<void> {
    this.#open.delete(mission.survey.id);
    await mission.close();
  }
}

function refuseOtherVersions({ protocol }: Survey): void {
  if (protocol === PROTOCOL) return;
  const why =
    `this agent speaks protocol ${PROTOCOL} and the coordinator ${protocol}: ` +
    'run the same version of Transect on both';
  throw new Fault('VERSION_SKEW', why);
}
