/**
 * Threads that outlive the surveys they send for, and are used again: koffi keeps three mappings of the
 * process for every thread that has ever loaded it (3.3.4), so an agent that made a thread for each survey
 * would one day have as many as the kernel allows. There are as many as were ever needed at once.
 */
import { Worker } from 'node:worker_threads';

export class ThreadPool {
  readonly #script: URL;
  readonly #idle = new Set<Worker>();

  constructor(script: URL) {
    this.#script = script;
  }

  /** A thread that waits for an assignment. */
  take(): Worker {
    for (const worker of this.#idle) {
      this.#idle.delete(worker);
      return worker;
    }
    const worker = new Worker(this.#script);
    worker.once('exit', () => this.#idle.delete(worker));
    return worker;
  }

  /** Keeps a thread that has finished its assignment. */
  returnWorker(worker: Worker): void {
    this.#idle.add(worker);
  }
}
