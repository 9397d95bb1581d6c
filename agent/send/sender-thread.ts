/** The main thread's end of one sender: starts the worker, and talks to it across its desk. */
import { once } from 'node:events';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { describeError, Fault, toFaultCode } from '../../shared/base/faults.js';
import { Desk } from './desk.js';
import type { Blocked } from './guard.js';
import type { Order, Turn } from './send-loop.js';

/** What the worker says once, when it is ready or cannot be. */
export type WorkerGreeting =
  | { readonly wire: string }
  | { readonly fault: { readonly code: string; readonly message: string } };

/** What the thread gets beside its setup. */
export interface ThreadData {
  readonly turn: Turn;
  readonly desk: SharedArrayBuffer;
  /** Brings versions of what is held back; a port of its own, so that orders do not wait before it. */
  readonly guards: MessagePort;
}

interface ThreadParts {
  readonly worker: Worker;
  readonly desk: Desk;
  readonly guards: MessagePort;
}

export class SenderThread {
  readonly desk: Desk;
  /** Names of the wires it opened. */
  readonly wire: string;
  readonly #worker: Worker;
  readonly #guards: MessagePort;
  readonly #ended: Promise<void>;

  private constructor(parts: ThreadParts, wire: string, onDeath: (reason: Error) => void) {
    const { worker, desk, guards } = parts;
    this.#worker = worker;
    this.#guards = guards;
    this.desk = desk;
    this.wire = wire;
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        if (!desk.isStopped) onDeath(new Error('the sending thread ended by itself'));
        resolve();
      });
    });
    // What a sender says after its greeting is why it ends.
    worker.once('message', (last: WorkerGreeting) => {
      if ('fault' in last) onDeath(new Error(`sending failed: ${last.fault.message}`));
    });
    worker.once('error', (error) => onDeath(new Error(`sending failed: ${describeError(error)}`)));
  }

  /**
   * Starts a worker whose data are `setup`, its turn and the desk's memory.
   * @param onDeath called when the thread ends although it was not closed
   * @throws the fault of a worker that cannot open its wires
   */
  static async start(
    script: URL,
    setup: object,
    turn: Turn,
    onDeath: (reason: Error) => void,
  ): Promise<SenderThread> {
    const desk = new Desk();
    const { port1: guards, port2 } = new MessageChannel();
    const data: ThreadData = { turn, desk: desk.memory, guards: port2 };
    const worker = new Worker(script, { workerData: { ...setup, ...data }, transferList: [port2] });
    const [greeting] = (await once(worker, 'message')) as [WorkerGreeting];
    if ('fault' in greeting) {
      throw new Fault(toFaultCode(greeting.fault.code), greeting.fault.message);
    }
    return new SenderThread({ worker, desk, guards }, greeting.wire, onDeath);
  }

  order(order: Order): void {
    this.desk.prepare(order.slot, order.from);
    this.#worker.postMessage(order);
    this.desk.ring();
  }

  /** From the next batch on, what is blocked is this. */
  guard(blocked: Blocked): void {
    this.#guards.postMessage(blocked);
    this.desk.post(blocked.version);
  }

  async close(): Promise<void> {
    this.desk.stop();
    await this.#ended;
    this.#guards.close();
  }
}
