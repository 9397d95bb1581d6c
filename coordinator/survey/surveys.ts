/**
 * The surveys that a coordinator knows: those under way, whole, and of those that are over what is asked
 * for most, the newest of them. Whatever older one is asked about is read again.
 */
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { LookupResult, SurveyStatus } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { SurveyFolder } from '../storage/survey-folder.js';
import type { FinishedSurvey } from './finished-survey.js';
import type { SurveyRun } from './survey-run.js';

/** What may be asked of a survey, whether it is over or not. */
export interface KnownSurvey {
  readonly survey: Survey;
  readonly status: SurveyStatus;
  readonly surveyFolder: SurveyFolder;
  /** What became of the targets that `ADDR` or `ADDR:PORT` names. @throws Fault BAD_OPTION */
  lookup(text: string): Promise<readonly LookupResult[]>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  setRate(rate: Survey['rate']): Promise<void>;
  cancel(immediately: boolean): Promise<void>;
}

/** How long the metrics of a survey are exposed once it is over: some scrapes more. */
const EXPOSED_MILLIS = 120_000;

export class Surveys {
  readonly running = new Map<string, SurveyRun>();
  /** In the order in which they ended, or were read. */
  readonly #finished = new Map<string, FinishedSurvey>();
  readonly #read: (id: string) => Promise<FinishedSurvey | undefined>;

  /** @param read reads a survey that is over, by its id */
  constructor(read: (id: string) => Promise<FinishedSurvey | undefined>) {
    this.#read = read;
  }

  get all(): readonly KnownSurvey[] {
    return [...this.#finished.values(), ...this.running.values()];
  }

  /** Those whose numbers may still change, or have just stopped to. @param now wall clock */
  exposedAt(now: number): readonly KnownSurvey[] {
    return this.all.filter(({ status }) => {
      return status.endedAt === 0 || now - status.endedAt <= EXPOSED_MILLIS;
    });
  }

  /** A survey is over: what it held is let go. */
  onEnded(past: FinishedSurvey): void {
    const { id } = past.survey;
    this.running.delete(id);
    this.#finished.set(id, past);
    for (const oldest of this.#finished.keys()) {
      if (this.#finished.size <= LIMITS.pastSurveys) return;
      this.#finished.delete(oldest);
    }
  }

  /** By id, or by a name or the start of an id that fits one survey only. @throws Fault UNKNOWN_SURVEY */
  async find(text: string): Promise<KnownSurvey> {
    const exact = this.running.get(text) ?? this.#finished.get(text);
    if (exact !== undefined) return exact;
    const fitting = this.all.filter(
      ({ survey }) => survey.name === text || survey.id.startsWith(text),
    );
    const [only] = fitting;
    if (only !== undefined && fitting.length === 1) return only;
    const older = fitting.length === 0 ? await this.#read(text) : undefined;
    if (older !== undefined) return older;
    const reason =
      fitting.length === 0 ? 'no such survey' : 'several surveys fit; give the whole id';
    throw new Fault('UNKNOWN_SURVEY', reason, { value: text });
  }
}
