/** A survey that is over: its last status and its folder. Its plan is built only for a lookup. */
import { Fault } from '../../shared/base/faults.js';
import type { SpaceStore } from '../../shared/bus/interfaces.js';
import type { Exclusions } from '../../shared/survey/policy/exclusions.js';
import type { LookupResult, SurveyStatus } from '../../shared/survey/status.js';
import { refuseIfEnding, type Survey } from '../../shared/survey/survey.js';
import { type ManifestSummary, readManifest } from '../storage/manifest.js';
import type { SurveyFolder } from '../storage/survey-folder.js';
import type { KnownSurvey } from './known-survey.js';
import { lookupTargets } from './lookup.js';
import { readPlan } from './stored-space.js';

export interface FinishedSurveyDeps {
  readonly folder: SurveyFolder;
  readonly exclusions: Exclusions;
  readonly spaces: SpaceStore;
}

export class FinishedSurvey implements KnownSurvey {
  readonly survey: Survey;
  readonly status: SurveyStatus;
  readonly folder: SurveyFolder;
  readonly #findings: ManifestSummary['findings'];
  readonly #deps: FinishedSurveyDeps;

  constructor(survey: Survey, { status, findings }: ManifestSummary, deps: FinishedSurveyDeps) {
    this.survey = survey;
    this.status = status;
    this.#findings = findings;
    this.folder = deps.folder;
    this.#deps = deps;
  }

  /** Reads a finished survey from its folder. @throws Fault UNWRITABLE, or NOT_FOUND if it has no manifest */
  static async read(survey: Survey, deps: FinishedSurveyDeps): Promise<FinishedSurvey> {
    const { folder } = deps;
    await folder.refuseIfUnusable();
    const manifest = await readManifest(folder.disk, folder.path);
    if (manifest !== undefined) return new FinishedSurvey(survey, manifest, deps);
    throw new Fault('NOT_FOUND', 'the survey has no manifest', { value: survey.id });
  }

  async lookup(text: string): Promise<readonly LookupResult[]> {
    const { survey } = this;
    const { plan } = await readPlan(this.#deps.spaces, survey);
    const sources = { ...this.#deps, survey, plan, findings: this.#findings };
    return await lookupTargets(text, { ...sources, leaseOf: () => undefined });
  }

  async pause(): Promise<void> {
    refuseIfEnding(this.survey, 'paused');
  }
  async resume(): Promise<void> {
    refuseIfEnding(this.survey, 'resumed');
  }
  async setRate(): Promise<void> {
    refuseIfEnding(this.survey, 'given another rate');
  }
  async cancel(): Promise<void> {
    refuseIfEnding(this.survey, 'cancelled');
  }
}
