/**
 * The main thread's end of a sender: starts the worker, queues orders, and reads progress off the
 * desk.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { assert } from '../../shared/base/assert.js';
import { describeError, Fault, toFaultCode } from '../../shared/base/faults.js';
import type { Sender, Sending } from '../ports.js';
import { Desk, SLOTS } from './desk.js';
import type { Order } from './send-loop.js';

/** What the worker says once, when it is ready or cannot be. */
export type WorkerGreeting =
  | { readonly wire: string }
  | { readonly fault: { readonly code: string; readonly message: string } };

/**
 * Starts a worker whose data are `setup` and the desk's memory.
 * @param onDeath called when the thread ends although it was not closed
 * @throws the fault of a worker that cannot open its wire
 */
export async function startSender(
  script: URL,
  setup: object,
  onDeath: (reason: Error) => void,
): Promise<Sender> {
  const desk = new Desk();
  const worker = new Worker(script, { workerData: { ...setup, desk: desk.memory } });
  const [greeting] = (await once(worker, 'message')) as [WorkerGreeting];
  if ('fault' in greeting) {
    throw new Fault(toFaultCode(greeting.fault.code), greeting.fault.message);
  }
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      if (!desk.isStopped) onDeath(new Error('the sending thread ended by itself'));
      resolve();
    });
  });
  worker.once('error', (error) => onDeath(new Error(`sending failed: ${describeError(error)}`)));
  const slots = new Slots();
  return {
    wire: greeting.wire,
    send(from, to) {
      const slot = slots.take();
      desk.prepare(slot, from);
      worker.postMessage({ slot, from, to } satisfies Order);
      desk.ring();
      return sendingOf(desk, slot, () => slots.free(slot));
    },
    grant: (rate, until) => desk.grant(rate, until),
    get totals() {
      return { sent: desk.sentTotal, errors: desk.errorTotal };
    },
    async close() {
      desk.stop();
      await ended;
    },
  };
}

function sendingOf(desk: Desk, slot: number, forget: () => void): Sending {
  return {
    get sent() {
      return desk.sentOf(slot);
    },
    get lost() {
      return desk.lostOf(slot);
    },
    get excluded() {
      return desk.excludedOf(slot);
    },
    get hasEnded() {
      return desk.hasEnded(slot);
    },
    abandon: () => desk.abandon(slot),
    forget() {
      assert(desk.hasEnded(slot), 'a slot is freed once its order has ended');
      forget();
    },
  };
}

class Slots {
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);

  take(): number {
    const slot = this.#free.pop();
    assert(slot !== undefined, 'fewer orders than slots');
    return slot;
  }

  free(slot: number): void {
    this.#free.push(slot);
  }
}
