/** Requests that every survey answers, whether it is running or over. */
import type { LookupResult, SurveyStatus } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { SurveyFolder } from '../storage/survey-folder.js';

export interface KnownSurvey {
  readonly survey: Survey;
  readonly status: SurveyStatus;
  readonly folder: SurveyFolder;
  /** @param text `ADDR` or `ADDR:PORT` @throws Fault BAD_OPTION */
  lookup(text: string): Promise<readonly LookupResult[]>;
  /** @throws Fault WRONG_STATE; so do the three methods below */
  pause(): Promise<void>;
  resume(): Promise<void>;
  setRate(rate: Survey['rate']): Promise<void>;
  cancel(immediately: boolean): Promise<void>;
}
