/**
 * The sender's thread: opens the way out it was given, and runs the send loop until it is told to
 * stop. It shares no object with the main thread, only the desk.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assert } from '../shared/base/assert.js';
import { monotonicMillis } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import { Ranges } from '../shared/net/ranges.js';
import { probeNamed } from '../shared/probe/catalogue.js';
import type { ProbeOptions } from '../shared/probe/probe.js';
import { Plan } from '../shared/survey/plan.js';
import { spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import { Desk } from './send/desk.js';
import { Guard } from './send/guard.js';
import { type Order, SendLoop } from './send/send-loop.js';
import type { WorkerGreeting } from './send/sender-thread.js';
import { openWire, type WayOut } from './wire/way-out.js';

/** Everything the thread needs, as data that can be cloned. */
export interface SenderSetup {
  readonly space: Uint8Array;
  readonly seed: string;
  readonly shardLength: number;
  readonly probe: string;
  readonly probeOptions: ProbeOptions;
  readonly key: Uint8Array;
  readonly wayOut: WayOut;
  /** Addresses that must not be probed, as `Ranges` arrays. */
  readonly blocked: { readonly from: Float64Array; readonly to: Float64Array };
}

assert(parentPort !== null, 'runs as a worker');
const port = parentPort;
const setup = workerData as SenderSetup & { desk: SharedArrayBuffer };

try {
  const probe = probeNamed(setup.probe);
  const wire = openWire(setup.wayOut, probe.octets(setup.probeOptions));
  const loop = new SendLoop({
    plan: new Plan(spaceFromBytes(setup.space), setup.seed, setup.shardLength),
    probe,
    probeOptions: setup.probeOptions,
    key: setup.key,
    origin: setup.wayOut.origin,
    wire,
    guard: new Guard(Ranges.fromSorted(setup.blocked.from, setup.blocked.to)),
    desk: new Desk(setup.desk),
    nextOrder: () => receiveMessageOnPort(port)?.message as Order | undefined,
    now: monotonicMillis,
  });
  port.postMessage({ wire: wire.name } satisfies WorkerGreeting);
  loop.run();
  wire.close();
} catch (error) {
  const code = error instanceof Fault ? error.code : 'SYSTEM_CALL';
  const fault = { code, message: describeError(error) };
  port.postMessage({ fault } satisfies WorkerGreeting);
}
