/** A survey that is over: its last status, and its files. Its plan is made only when somebody asks about a target. */
import { Fault } from '../../shared/base/faults.js';
import type { SpaceStore } from '../../shared/bus/interfaces.js';
import type { Exclusions } from '../../shared/survey/policy/exclusions.js';
import type { LookupResult, SurveyStatus } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import { targetsOf } from '../../shared/survey/target-list.js';
import type { SurveyFolder } from '../storage/survey-folder.js';
import { lookupTarget } from './lookup.js';
import { readPlan } from './stored-space.js';
import type { KnownSurvey } from './surveys.js';

export interface FinishedSurveyDeps {
  readonly surveyFolder: SurveyFolder;
  readonly exclusions: Exclusions;
  readonly spaces: SpaceStore;
}

export class FinishedSurvey implements KnownSurvey {
  readonly survey: Survey;
  readonly status: SurveyStatus;
  readonly surveyFolder: SurveyFolder;
  readonly #parts: FinishedSurveyDeps;

  constructor(survey: Survey, status: SurveyStatus, deps: FinishedSurveyDeps) {
    this.survey = survey;
    this.status = status;
    this.surveyFolder = deps.surveyFolder;
    this.#parts = deps;
  }

  async lookup(text: string): Promise<readonly LookupResult[]> {
    const { exclusions, spaces } = this.#parts;
    const { survey, surveyFolder } = this;
    const plan = await readPlan(spaces, survey);
    const known = { survey, plan, leaseOf: () => undefined, surveyFolder, exclusions, spaces };
    const asked = targetsOf(text, plan.space.parts.ports);
    return await Promise.all(asked.map((target) => lookupTarget(target, known)));
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
    const reason =
      state === 'done'
        ? `the survey is done; it cannot be ${what} any more`
        : `the survey was cancelled; it cannot be ${what} any more`;
    throw new Fault('UNKNOWN_SURVEY', reason, { value: survey });
  }
}
