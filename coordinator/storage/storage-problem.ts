/** The reason why the rows of a survey cannot be stored, and when storing is tried again. */
import type { Clock } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import type { Log } from '../../shared/telemetry/log.js';

export const STORE_RETRY_MILLIS = 2000;

export interface StorageProblemDeps {
  readonly survey: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the text changes. */
  readonly onChange: () => void;
}

export class StorageProblem {
  /** Empty if storing works. */
  text = '';
  readonly #deps: StorageProblemDeps;
  #retryAt = 0;
  #failure: unknown;

  constructor(deps: StorageProblemDeps) {
    this.#deps = deps;
  }

  /** True while a failed attempt must wait before it is repeated. */
  get mustWait(): boolean {
    return this.#deps.clock.monotonic() < this.#retryAt;
  }

  onSuccess(): void {
    if (this.text === '') return;
    this.text = '';
    this.#deps.log.info({ survey: this.#deps.survey }, 'results can be stored again');
    this.#deps.onChange();
  }

  onError(error: unknown): void {
    if (!(error instanceof Fault && error.code === 'UNWRITABLE')) this.#failure = error;
    this.#retryAt = this.#deps.clock.monotonic() + STORE_RETRY_MILLIS;
    const problem = `results cannot be stored: ${describeError(error)}`;
    if (this.text === problem) return;
    this.text = problem;
    this.#deps.log.error({ survey: this.#deps.survey, problem }, 'survey stalled');
    this.#deps.onChange();
  }

  /** @throws an error that retrying cannot fix, if there was one */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
