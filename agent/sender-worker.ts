/**
 * A sender's thread: for each survey it is assigned to, it opens the ways out it was given and runs the
 * send loop until it is told to stop. It shares no object with the main thread, only the desk.
 */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../shared/base/assert.js';
import { monotonicMillis, wallMicros } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import type { WireName } from '../shared/command/station-options.js';
import { ethernetOctets } from '../shared/packet/ethernet.js';
import { probeNamed } from '../shared/probe/catalogue.js';
import type { ProbeOptions, SourcePorts } from '../shared/probe/probe.js';
import { Plan } from '../shared/survey/plan.js';
import { spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import { LinkNeighbours } from './egress/link-neighbours.js';
import type { WayOut } from './egress/way-out.js';
import { Desk } from './send/desk.js';
import { Exit } from './send/exit.js';
import { type Blocked, Guard } from './send/guard.js';
import { Router } from './send/router.js';
import { type Order, SendLoop, type Turn } from './send/send-loop.js';
import type { Assignment, ThreadReport } from './send/sender-thread.js';
import { openWire } from './wire/open-wire.js';

/** Everything the thread needs, as data that can be cloned. */
export interface SenderSetup {
  readonly space: Uint8Array;
  readonly seed: string;
  readonly shardLength: number;
  readonly probe: string;
  readonly probeOptions: ProbeOptions;
  readonly key: Uint8Array;
  readonly ways: readonly WayOut[];
  /** Whether they lead to every target. */
  readonly isWhole: boolean;
  readonly ports: SourcePorts;
  /** The wire that the operator insists on. */
  readonly wire: WireName | undefined;
  /** Addresses that must not be probed, whatever the exclusions. */
  readonly blocked: Blocked;
}

assert(parentPort !== null, 'runs as a worker');
const port = parentPort;
port.on('message', serve);

/** Sends for one survey; returns once its desk says stop, or with what keeps it from sending. */
function serve({ setup, turn, desk, orders, guards, unsent }: Assignment<SenderSetup>): void {
  const exits: Exit[] = [];
  try {
    for (const way of setup.ways) exits.push(openExit(way, setup, turn));
    const loop = new SendLoop({
      plan: new Plan(spaceFromBytes(setup.space), setup.seed, setup.shardLength),
      key: setup.key,
      exits,
      router: new Router(
        setup.ways.map(({ territory }) => territory),
        setup.isWhole,
      ),
      isWhole: setup.isWhole,
      guard: new Guard(setup.blocked),
      nextGuard: () => {
        const message = receiveMessageOnPort(guards)?.message as Blocked | undefined;
        return message && new Guard(message);
      },
      turn,
      desk: new Desk(desk),
      nextOrder: () => receiveMessageOnPort(orders)?.message as Order | undefined,
      onUnsent: (message) => unsent.postMessage(message),
      now: monotonicMillis,
      wallMicros,
    });
    report({ wire: [...new Set(exits.map(({ wire }) => wire.name))].join(', ') });
    loop.run();
  } catch (error) {
    const code = error instanceof Fault ? error.code : 'SYSTEM_CALL';
    report({ fault: { code, message: describeError(error) } });
  } finally {
    for (const { wire, neighbours } of exits) {
      wire.close();
      neighbours?.close();
    }
    for (const each of [orders, guards, unsent]) each.close();
    report({ ended: true });
  }
}

function report(what: ThreadReport): void {
  port.postMessage(what);
}

function openExit({ family, device, link, sources }: WayOut, setup: SenderSetup, turn: Turn): Exit {
  const probe = probeNamed(setup.probe);
  const options = setup.probeOptions;
  const octets = probe.octets(family, options);
  const wire = openWire({ device, family, octets, link, queue: turn.index }, setup.wire);
  const common = { wire, family, sources, ports: setup.ports, probe, options };
  const isByKernel = link === undefined || setup.wire === 'raw-ip';
  if (isByKernel || link.gateway !== undefined) return new Exit(common);
  try {
    const neighbours = new LinkNeighbours({ device, family, link, sources });
    return new Exit({ ...common, neighbours, linkOctets: ethernetOctets(link.vlan) });
  } catch (error) {
    wire.close();
    throw error;
  }
}
