/**
 * The main thread's end of one sender: assigns a survey to a thread of the pool, and communicates with it
 * through its `SenderControl` and message ports.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { deferred } from '../../../shared/base/deferred.js';
import { toFaultCode } from '../../../shared/base/exit-codes.js';
import { describeError, Fault } from '../../../shared/base/faults.js';
import type { SendJob } from '../jobs/send-job.js';
import type { SendFilterLists } from '../send-filter.js';
import { SenderControl } from '../sender-control.js';
import type { SenderIndex } from '../stripes.js';
import type { UnsentMessage } from '../unsent-log.js';
import type { ThreadPool } from './thread-pool.js';

/** Messages of a thread: `transmit` once it is ready; `fault` if it cannot send (any more); last, `ended`. */
export type ThreadMessage =
  | { readonly transmit: string }
  | { readonly fault: { readonly code: string; readonly message: string } }
  | { readonly ended: true };

/** The first message to a thread. */
export interface Assignment<Setup extends object> {
  readonly setup: Setup;
  readonly senderIndex: SenderIndex;
  readonly control: SharedArrayBuffer;
  readonly jobs: MessagePort;
  /** Carries send filters; a separate port, so that they do not queue behind jobs. */
  readonly filters: MessagePort;
  /** Carries unsent positions: `UnsentMessage`. */
  readonly unsent: MessagePort;
}

type OnDeath = (reason: Error) => void;

interface SenderThreadDeps {
  readonly pool: ThreadPool;
  readonly senderIndex: SenderIndex;
  /** Called if the thread stops sending although it was not closed. */
  readonly onDeath: OnDeath;
}

export class SenderThread {
  readonly control = new SenderControl();
  /** Names of the frame senders that it opened. */
  transmit = '';
  readonly #jobs: MessagePort;
  readonly #filters: MessagePort;
  readonly #unsent: MessagePort;
  /** Resolves once it is ready; rejects if it fails before that. */
  readonly #ready = deferred<void>();
  readonly #ended = deferred<void>();

  private constructor(setup: object, deps: SenderThreadDeps) {
    const worker = deps.pool.take();
    const jobs = new MessageChannel();
    const filters = new MessageChannel();
    const unsent = new MessageChannel();
    this.#jobs = jobs.port1;
    this.#filters = filters.port1;
    this.#unsent = unsent.port1;
    let isReady = false;
    /** A fault before the thread is ready rejects `start`; a later one is reported as a failure of the thread. */
    const fail = (fault: Error) => {
      if (!isReady) this.#ready.reject(fault);
      else if (!this.control.isStopped) deps.onDeath(fault);
    };
    const onMessage = (message: ThreadMessage) => {
      if ('transmit' in message) {
        this.transmit = message.transmit;
        isReady = true;
        this.#ready.resolve();
      } else if ('fault' in message) {
        const { code, message: reason } = message.fault;
        fail(new Fault(toFaultCode(code), isReady ? `sending failed: ${reason}` : reason));
      } else {
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        deps.pool.returnWorker(worker);
        fail(new Error('the sender ended although it was not closed'));
        this.#ended.resolve();
      }
    };
    const onError = (error: unknown) => fail(new Error(`sending failed: ${describeError(error)}`));
    const onExit = () => {
      fail(new Error('the sender thread ended although it was not closed'));
      this.#ended.resolve();
    };
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    const { senderIndex } = deps;
    const ports = { jobs: jobs.port2, filters: filters.port2, unsent: unsent.port2 };
    const assignment: Assignment<object> = {
      setup,
      senderIndex,
      control: this.control.memory,
      ...ports,
    };
    worker.postMessage(assignment, Object.values(ports));
  }

  /**
   * Assigns a thread of the pool: it opens the frame senders of `setup` and waits for jobs.
   * @throws the fault of a thread that cannot open its frame senders
   */
  static async start(setup: object, deps: SenderThreadDeps): Promise<SenderThread> {
    const thread = new SenderThread(setup, deps);
    try {
      await thread.#ready.promise;
      return thread;
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  job(job: SendJob): void {
    this.control.prepare(job.slot, job.from);
    this.#jobs.postMessage(job);
    this.control.announceJob();
  }

  /**
   * The positions recorded as unsent since the last call: at least all those below a `sentUpTo` that was read
   * before this call.
   */
  *takeUnsent(): Generator<UnsentMessage> {
    for (;;) {
      const framesReceived = receiveMessageOnPort(this.#unsent);
      if (framesReceived === undefined) return;
      yield framesReceived.message as UnsentMessage;
    }
  }

  /** Applies a send filter from the next batch on. */
  sendFilter(blocked: SendFilterLists): void {
    this.#filters.postMessage(blocked);
    this.control.postVersion(blocked.version);
  }

  async close(): Promise<void> {
    this.control.stop();
    await this.#ended.promise;
    this.#jobs.close();
    this.#filters.close();
    this.#unsent.close();
  }
}
