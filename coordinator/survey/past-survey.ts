/** A survey that is over: its last status, and its files. Its plan is made only when somebody asks about a target. */
import { Fault } from '../../shared/base/faults.js';
import type { SpaceShelf } from '../../shared/bus/ports.js';
import type { Exclusions } from '../../shared/survey/exclusions.js';
import type { SurveyStatus, TargetFate } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import { targetsOf } from '../../shared/survey/target-list.js';
import type { Vault } from '../vault.js';
import { fateOf } from './inquiry.js';
import { readPlan } from './shelf.js';
import type { KnownSurvey } from './surveys.js';

export interface PastSurveyParts {
  readonly vault: Vault;
  readonly exclusions: Exclusions;
  readonly spaces: SpaceShelf;
}

export class PastSurvey implements KnownSurvey {
  readonly survey: Survey;
  readonly status: SurveyStatus;
  readonly vault: Vault;
  readonly #parts: PastSurveyParts;

  constructor(survey: Survey, status: SurveyStatus, parts: PastSurveyParts) {
    this.survey = survey;
    this.status = status;
    this.vault = parts.vault;
    this.#parts = parts;
  }

  async fatesOf(text: string): Promise<readonly TargetFate[]> {
    const { exclusions, spaces } = this.#parts;
    const { survey, vault } = this;
    const plan = await readPlan(spaces, survey);
    const known = { survey, plan, leaseOf: () => undefined, vault, exclusions, spaces };
    const asked = targetsOf(text, plan.space.parts.ports);
    return await Promise.all(asked.map((target) => fateOf(target, known)));
  }

  async pause(): Promise<void> {
    this.#refuse('paused');
  }
  async resume(): Promise<void> {
    this.#refuse('resumed');
  }
  async setRate(): Promise<void> {
    this.#refuse('given another rate');
  }
  async cancel(): Promise<void> {
    this.#refuse('cancelled');
  }

  /** @throws Fault UNKNOWN_SURVEY */
  #refuse(what: string): never {
    const { state, survey } = this.status;
    const why =
      state === 'done'
        ? `the survey is done; it cannot be ${what} any more`
        : `the survey was cancelled; it cannot be ${what} any more`;
    throw new Fault('UNKNOWN_SURVEY', why, { value: survey });
  }
}
