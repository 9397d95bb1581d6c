/**
 * The surveys this agent works on. It opens a mission for each survey it can serve, remembers which it
 * cannot serve and until when, and says why in one sentence.
 */
import { describeError, Fault } from '../shared/base/faults.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { Exclusions } from '../shared/survey/exclusions.js';
import type { Survey } from '../shared/survey/survey.js';
import type { AgentParts } from './agent.js';
import type { HeldShard } from './held-shard.js';
import { type Mission, openMission } from './mission.js';

/** A survey that this agent cannot serve is tried again after this. */
export const REFUSED_MILLIS = 5000;

export class Missions {
  readonly #parts: AgentParts;
  readonly #exclusions: Exclusions;
  readonly #open = new Map<string, Mission>();
  readonly #opening = new Map<string, Promise<Mission | undefined>>();
  readonly #refusedUntil = new Map<string, number>();
  #trouble = '';

  constructor(parts: AgentParts, exclusions: Exclusions) {
    this.#parts = parts;
    this.#exclusions = exclusions;
  }

  /** What needs a person; empty where nothing does. */
  get trouble(): string {
    return this.#trouble;
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
    if (this.#parts.clock.monotonic() < (this.#refusedUntil.get(id) ?? 0)) return undefined;
    const known = this.#open.get(id);
    if (known !== undefined) return known;
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
      this.#trouble = '';
      log.info({ survey: survey.id, wire: mission.station.sender.wire }, 'survey joined');
      return mission;
    } catch (error) {
      this.refuse(survey.id, describeError(error), REFUSED_MILLIS);
      return undefined;
    }
  }

  /** Takes no shards of a survey for a while. */
  refuse(survey: string, why: string, millis: number): void {
    if (this.#trouble !== why) this.#parts.log.error({ survey, error: why }, 'survey refused');
    this.#trouble = why;
    this.#refusedUntil.set(survey, this.#parts.clock.monotonic() + millis);
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
