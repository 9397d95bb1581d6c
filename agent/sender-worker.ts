/**
 * A sender thread: for each survey assigned to it, it opens the planned egresses and runs the send loop until
 * it is stopped. The only memory that it shares with the main thread is that of `SenderControl`.
 */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../shared/base/assert.js';
import { monotonicMillis, wallMicros } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import { ethernetOctets } from '../shared/packet/ethernet.js';

import type { PacketProbe } from '../shared/probe/probe.js';
import { ProbeSet, type SurveyProbe } from '../shared/probe/probe-set.js';
import { Plan } from '../shared/survey/plan.js';
import { spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import { Egress } from './egress/egress.js';
import type { EgressRoute } from './egress/egress-plan.js';
import { NeighbourResolver } from './egress/neighbour-resolver.js';
import { Router } from './egress/router.js';
import type { SendJob } from './send/jobs/send-job.js';
import { SendFilter, type SendFilterLists } from './send/send-filter.js';
import { SendLoop } from './send/send-loop.js';
import { SenderControl } from './send/sender-control.js';
import type { SenderSetup } from './send/sender-setup.js';
import { SlowGate } from './send/slow-gate.js';
import { SlowedNetworks } from './send/slowed-networks.js';
import type { SenderIndex } from './send/stripes.js';
import type { Assignment, ThreadMessage } from './send/threads/sender-thread.js';
import { openFrameSender } from './transmit/open-frame-sender.js';

assert(parentPort !== null, 'the sender worker runs outside a worker thread');
const port = parentPort;
port.on('message', serve);

/** Sends the probes of one survey; returns once its `SenderControl` is stopped, or after a fault. */
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
    const { packets: probes } = new ProbeSet(setup.probes);
    for (const route of setup.routes) openRoute(route, probes, egresses, setup, senderIndex);
    const loop = new SendLoop({
      plan: new Plan(spaceFromBytes(setup.space), setup.seed, setup.shardLength, setup.targets),
      egresses,
      probeCount: probes.length,
      router: new Router(
        setup.routes.map(({ destinations }) => destinations),
        setup.coversAll,
      ),
      coversAll: setup.coversAll,
      sendFilter: new SendFilter(setup.blocked),
      slowGate: new SlowGate(new SlowedNetworks(setup.slowed), senderIndex.count),
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
    post({
      transmit: [...new Set(egresses.map(({ frameSender }) => frameSender.name))].join(', '),
    });
    loop.run();
  } catch (error) {
    const code = error instanceof Fault ? error.code : 'SYSTEM_CALL';
    post({ fault: { code, message: describeError(error) } });
  } finally {
    for (const { frameSender } of egresses) frameSender.close();
    for (const neighbours of new Set(egresses.map((egress) => egress.neighbours))) {
      neighbours?.close();
    }
    for (const each of [jobs, filters, unsent]) each.close();
    post({ ended: true });
  }
}

function post(what: ThreadMessage): void {
  port.postMessage(what);
}

/**
 * Opens one egress per probe; all egresses of a route share its neighbours. Adds each to `egresses` as soon
 * as it is open.
 */
function openRoute(
  { family, device, nextHop, sources, window }: EgressRoute,
  probes: readonly SurveyProbe<PacketProbe>[],
  egresses: Egress[],
  setup: SenderSetup,
  senderIndex: SenderIndex,
): void {
  const { ports, transmit } = setup;
  const isByKernel = nextHop === undefined || transmit === 'raw-ip';
  let neighbours: NeighbourResolver | undefined;
  for (const each of probes) {
    const octets = each.probe.octets(family, each.options);
    const frameSetup = { device, family, octets, nextHop, queue: senderIndex.index };
    const frameSender = openFrameSender(frameSetup, transmit);
    const common = { frameSender, family, sources, window, ports, probe: each };
    try {
      if (isByKernel || nextHop.gateway !== undefined) egresses.push(new Egress(common));
      else {
        neighbours ??= new NeighbourResolver({ device, family, nextHop, sources });
        const linkHeaderOctets = ethernetOctets(nextHop.vlan);
        egresses.push(new Egress({ ...common, neighbours, linkHeaderOctets }));
      }
    } catch (error) {
      frameSender.close();
      throw error;
    }
  }
}
