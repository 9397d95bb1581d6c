/**
 * A sender's thread: for each survey it is assigned to, it opens the ways out it was given and runs the
 * send loop until it is told to stop. It shares no object with the main thread, only the desk.
 */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../shared/base/assert.js';
import { monotonicMillis, wallMicros } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import type { TransmitMethod } from '../shared/command/network-options.js';
import { ethernetOctets } from '../shared/packet/ethernet.js';
import type { ProbeOptions, SourcePorts } from '../shared/probe/probe.js';
import { probeNamed } from '../shared/probe/probe-registry.js';
import { Plan } from '../shared/survey/plan.js';
import { spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import { Egress } from './egress/egress.js';
import type { EgressRoute } from './egress/egress-plan.js';
import { LinkNeighbours } from './egress/link-neighbours.js';
import { Router } from './egress/router.js';
import { SendFilter, type SendFilterLists } from './send/send-filter.js';
import { type SenderIndex, type SendJob, SendLoop } from './send/send-loop.js';
import { SenderControl } from './send/sender-control.js';
import type { Assignment, ThreadMessage } from './send/sender-thread.js';
import { openFrameSender } from './transmit/open-frame-sender.js';

/** Everything the thread needs, as data that can be cloned. */
export interface SenderSetup {
  readonly space: Uint8Array;
  readonly seed: string;
  readonly shardLength: number;
  readonly probe: string;
  readonly probeOptions: ProbeOptions;
  readonly key: Uint8Array;
  readonly routes: readonly EgressRoute[];
  /** Whether they lead to every target. */
  readonly coversAll: boolean;
  readonly ports: SourcePorts;
  /** The wire that the operator insists on. */
  readonly wire: TransmitMethod | undefined;
  /** Addresses that must not be probed, whatever the exclusions. */
  readonly blocked: SendFilterLists;
}

assert(parentPort !== null, 'runs as a worker');
const port = parentPort;
port.on('message', serve);

/** Sends for one survey; returns once its desk says stop, or with what keeps it from sending. */
function serve({
  setup,
  senderIndex,
  control,
  jobs,
  filters,
  unsent,
}: Assignment<SenderSetup>): void {
  const egresses: Egress[] = [];
  try {
    for (const route of setup.routes) egresses.push(openEgress(route, setup, senderIndex));
    const loop = new SendLoop({
      plan: new Plan(spaceFromBytes(setup.space), setup.seed, setup.shardLength),
      key: setup.key,
      egresses,
      router: new Router(
        setup.routes.map(({ destinations }) => destinations),
        setup.coversAll,
      ),
      coversAll: setup.coversAll,
      sendFilter: new SendFilter(setup.blocked),
      nextFilter: () => {
        const message = receiveMessageOnPort(filters)?.message as SendFilterLists | undefined;
        return message && new SendFilter(message);
      },
      senderIndex,
      control: new SenderControl(control),
      nextJob: () => receiveMessageOnPort(jobs)?.message as SendJob | undefined,
      onUnsent: (message) => unsent.postMessage(message),
      now: monotonicMillis,
      wallMicros,
    });
    report({ wire: [...new Set(egresses.map(({ wire }) => wire.name))].join(', ') });
    loop.run();
  } catch (error) {
    const code = error instanceof Fault ? error.code : 'SYSTEM_CALL';
    report({ fault: { code, message: describeError(error) } });
  } finally {
    for (const { wire, neighbours } of egresses) {
      wire.close();
      neighbours?.close();
    }
    for (const each of [jobs, filters, unsent]) each.close();
    report({ ended: true });
  }
}

function report(what: ThreadMessage): void {
  port.postMessage(what);
}

function openEgress(
  { family, device, nextHop, sources }: EgressRoute,
  setup: SenderSetup,
  senderIndex: SenderIndex,
): Egress {
  const probe = probeNamed(setup.probe);
  const options = setup.probeOptions;
  const octets = probe.octets(family, options);
  const wire = openFrameSender(
    { device, family, octets, nextHop, queue: senderIndex.index },
    setup.wire,
  );
  const common = { wire, family, sources, ports: setup.ports, probe, options };
  const isByKernel = nextHop === undefined || setup.wire === 'raw-ip';
  if (isByKernel || nextHop.gateway !== undefined) return new Egress(common);
  try {
    const neighbours = new LinkNeighbours({ device, family, nextHop, sources });
    return new Egress({ ...common, neighbours, linkHeaderOctets: ethernetOctets(nextHop.vlan) });
  } catch (error) {
    wire.close();
    throw error;
  }
}
