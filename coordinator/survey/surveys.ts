/**
 * The surveys that a coordinator knows: the running ones, and a bounded cache of finished ones. Older surveys
 * are read from their folders on request.
 */
import { assert } from '../../shared/base/assert.js';
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import { isOver } from '../../shared/survey/survey.js';
import type { SurveyAgents } from '../agents/survey-agents.js';
import type { FinishedSurvey } from './finished-survey.js';
import type { KnownSurvey } from './known-survey.js';
import type { SurveyRun } from './survey-run.js';

/** Metrics of a survey are exposed for this long after its end, for a few more scrapes. */
const EXPOSED_MILLIS = 120_000;

export class Surveys {
  readonly running = new Map<string, SurveyRun>();
  /** In the order in which they ended, or were read. */
  readonly #finished = new Map<string, FinishedSurvey>();
  readonly #read: (id: string) => Promise<FinishedSurvey | undefined>;

  /** @param read reads the survey with a given id, which is over */
  constructor(read: (id: string) => Promise<FinishedSurvey | undefined>) {
    this.#read = read;
  }

  /** The agents of each survey that is not over. */
  get agents(): readonly SurveyAgents[] {
    const running = [...this.running.values()];
    return running.flatMap(({ survey, dispatch }) => (isOver(survey.state) ? [] : dispatch.agents));
  }

  get all(): readonly KnownSurvey[] {
    return [...this.#finished.values(), ...this.running.values()];
  }

  /** Surveys whose metrics are exposed: running, or over for less than two minutes. @param now wall clock */
  exposedAt(now: number): readonly KnownSurvey[] {
    return this.all.filter(({ status }) => {
      return status.endedAt === 0 || now - status.endedAt <= EXPOSED_MILLIS;
    });
  }

  /** Replaces a running survey by its finished form, and drops the oldest beyond the bound. */
  onEnded(finished: FinishedSurvey): void {
    const { id } = finished.survey;
    this.running.delete(id);
    this.#finished.set(id, finished);
    for (const oldest of this.#finished.keys()) {
      if (this.#finished.size <= LIMITS.finishedSurveys) break;
      this.#finished.delete(oldest);
    }
    assert(
      this.#finished.size <= LIMITS.finishedSurveys,
      'the cache of finished surveys overflowed',
    );
  }

  /**
   * The survey with this id; otherwise the only one that has this name, or whose id starts with the text.
   * @throws Fault UNKNOWN_SURVEY or BAD_OPTION
   */
  async find(text: string): Promise<KnownSurvey> {
    if (text === '') throw new Fault('BAD_OPTION', 'the id or name of a survey is missing');
    const exact = this.running.get(text) ?? this.#finished.get(text);
    if (exact !== undefined) return exact;
    const matches = this.all.filter(
      ({ survey }) => survey.name === text || survey.id.startsWith(text),
    );
    const [only] = matches;
    if (only !== undefined && matches.length === 1) return only;
    const older = matches.length === 0 ? await this.#read(text) : undefined;
    if (older !== undefined) return older;
    const reason = matches.length === 0 ? 'no such survey' : 'several surveys match; give the id';
    throw new Fault('UNKNOWN_SURVEY', reason, { value: text });
  }
}
