/**
 * A pool of sender threads, which outlive the surveys they send for. koffi (3.3.4) keeps three memory
 * mappings for every thread that ever loaded it, so an agent that created a thread per survey would reach the
 * kernel's limit. The pool has as many threads as were ever needed at once.
 */
import { Worker } from 'node:worker_threads';

export class ThreadPool {
  readonly #script: string;
  readonly #idle = new Set<Worker>();

  constructor(script: string) {
    this.#script = script;
  }

  /** Starts threads, so that they have loaded their code when the first survey needs them. */
  prepare(count: number): void {
    for (let i = 0; i < count; i++) this.#idle.add(this.#start());
  }

  /** A thread that waits for an assignment. */
  take(): Worker {
    for (const worker of this.#idle) {
      this.#idle.delete(worker);
      return worker;
    }
    return this.#start();
  }

  #start(): Worker {
    const worker = new Worker(this.#script);
    worker.once('exit', () => this.#idle.delete(worker));
    return worker;
  }

  /** Returns a thread that has finished its assignment. */
  returnWorker(worker: Worker): void {
    this.#idle.add(worker);
  }
}
