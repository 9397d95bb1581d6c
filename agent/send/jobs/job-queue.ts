/**
 * The send jobs that wait at a sender: repeats of probes and deferred ones go first, and interrupt a first round,
 * which is continued after them.
 */

import type { SenderControl } from '../sender-control.js';
import { isFirstRound, type SendJob } from './send-job.js';

/** A job, and the position from which on it is to be sent; undefined if it has not begun. */
export interface NextJob {
  readonly job: SendJob;
  readonly position: number | undefined;
}

export class JobQueue {
  readonly #control: SenderControl;
  readonly #receive: () => SendJob | undefined;
  readonly #waiting: SendJob[] = [];
  readonly #urgent: SendJob[] = [];
  #interrupted: NextJob | undefined;
  #received = 0;

  /** @param receive the next job that was posted to this sender, if there is one */
  constructor(control: SenderControl, receive: () => SendJob | undefined) {
    this.#control = control;
    this.#receive = receive;
  }

  /** Takes posted jobs in; costs one read of the control if there are none. */
  update(): void {
    if (this.#control.jobsPosted === this.#received) return;
    for (let job = this.#receive(); job !== undefined; job = this.#receive()) {
      this.#received++;
      (isFirstRound(job) ? this.#waiting : this.#urgent).push(job);
    }
  }

  /** True if jobs that go before this one are waiting. */
  shouldInterrupt(job: SendJob): boolean {
    return this.#urgent.length > 0 && isFirstRound(job);
  }

  /** Puts the current job aside. */
  interrupt(job: SendJob, position: number): void {
    this.#interrupted = { job, position };
  }

  next(): NextJob | undefined {
    const urgent = this.#urgent.shift();
    if (urgent !== undefined) return { job: urgent, position: undefined };
    const interrupted = this.#interrupted;
    this.#interrupted = undefined;
    if (interrupted !== undefined) return interrupted;
    const job = this.#waiting.shift();
    return job && { job, position: undefined };
  }

  /** Removes all jobs. */
  clear(): readonly SendJob[] {
    this.update();
    const interrupted = this.#interrupted?.job;
    const all = [...(interrupted ? [interrupted] : []), ...this.#urgent, ...this.#waiting];
    this.#interrupted = undefined;
    this.#urgent.length = 0;
    this.#waiting.length = 0;
    return all;
  }
}
