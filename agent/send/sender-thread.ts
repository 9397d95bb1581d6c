/** The main thread's end of one sender: gives a thread its assignment, and talks to it across its desk. */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { describeError, Fault, toFaultCode } from '../../shared/base/faults.js';
import type { SendFilterLists } from './send-filter.js';
import type { SenderIndex, SendJob } from './send-loop.js';
import { SenderControl } from './sender-control.js';
import type { ThreadPool } from './thread-pool.js';
import type { UnsentMessage } from './unsent-log.js';

/** What a thread reports: that it is ready, why it cannot send (any more), and last that it has ended. */
export type ThreadMessage =
  | { readonly transmit: string }
  | { readonly fault: { readonly code: string; readonly message: string } }
  | { readonly ended: true };

/** What a thread is sent to begin with. */
export interface Assignment<Setup extends object> {
  readonly setup: Setup;
  readonly senderIndex: SenderIndex;
  readonly control: SharedArrayBuffer;
  readonly jobs: MessagePort;
  /** Brings versions of what is held back; a port of its own, so that orders do not wait before it. */
  readonly filters: MessagePort;
  /** Takes what was passed by: `UnsentMessage`. */
  readonly unsent: MessagePort;
}

type OnDeath = (reason: Error) => void;

interface SenderThreadDeps {
  readonly pool: ThreadPool;
  readonly senderIndex: SenderIndex;
  /** Called when the thread stops sending although it was not closed. */
  readonly onDeath: OnDeath;
}

export class SenderThread {
  readonly control = new SenderControl();
  /** Names of the wires it opened. */
  transmit = '';
  readonly #orders: MessagePort;
  readonly #guards: MessagePort;
  readonly #unsent: MessagePort;
  /** Resolves once it is ready; rejects where it cannot be. */
  readonly #ready: Promise<void>;
  readonly #ended: Promise<void>;

  private constructor(setup: object, deps: SenderThreadDeps) {
    const worker = deps.pool.take();
    const jobs = new MessageChannel();
    const filters = new MessageChannel();
    const unsent = new MessageChannel();
    this.#orders = jobs.port1;
    this.#guards = filters.port1;
    this.#unsent = unsent.port1;
    let ready = { resolve() {}, reject(_error: Error) {} };
    this.#ready = new Promise((resolve, reject) => {
      ready = { resolve, reject };
    });
    let ended = () => {};
    this.#ended = new Promise((resolve) => {
      ended = resolve;
    });
    let isReady = false;
    /** Before it is ready its fault is its starter's to hear; afterwards it is a death. */
    const fail = (fault: Error) => {
      if (!isReady) ready.reject(fault);
      else if (!this.control.isStopped) deps.onDeath(fault);
    };
    const onMessage = (message: ThreadMessage) => {
      if ('transmit' in message) {
        this.transmit = message.transmit;
        isReady = true;
        ready.resolve();
      } else if ('fault' in message) {
        const { code, message: reason } = message.fault;
        fail(new Fault(toFaultCode(code), isReady ? `sending failed: ${reason}` : reason));
      } else {
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        deps.pool.returnWorker(worker);
        fail(new Error('the sending thread ended by itself'));
        ended();
      }
    };
    const onError = (error: unknown) => fail(new Error(`sending failed: ${describeError(error)}`));
    const onExit = () => {
      fail(new Error('the sending thread ended by itself'));
      ended();
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
   * Has a thread of the pool open what `setup` describes and wait for orders.
   * @throws the fault of a thread that cannot open its wires
   */
  static async start(setup: object, deps: SenderThreadDeps): Promise<SenderThread> {
    const thread = new SenderThread(setup, deps);
    try {
      await thread.#ready;
      return thread;
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  job(job: SendJob): void {
    this.control.prepare(job.slot, job.from);
    this.#orders.postMessage(job);
    this.control.wake();
  }

  /** What was passed by since the last call, of all before what the desk said at that time. */
  *takeUnsent(): Generator<UnsentMessage> {
    for (;;) {
      const framesReceived = receiveMessageOnPort(this.#unsent);
      if (framesReceived === undefined) return;
      yield framesReceived.message as UnsentMessage;
    }
  }

  /** From the next batch on, what is blocked is this. */
  sendFilter(blocked: SendFilterLists): void {
    this.#guards.postMessage(blocked);
    this.control.postVersion(blocked.version);
  }

  async close(): Promise<void> {
    this.control.stop();
    await this.#ended;
    this.#orders.close();
    this.#guards.close();
    this.#unsent.close();
  }
}
