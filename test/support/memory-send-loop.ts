/** The send loop over frame senders in memory, for tests. */
import { Egress } from '../../agent/egress/egress.js';
import { Router } from '../../agent/egress/router.js';
import type { Destinations } from '../../agent/interfaces.js';
import type { SendJob } from '../../agent/send/jobs/send-job.js';
import type { SendFilter } from '../../agent/send/send-filter.js';
import { SendLoop } from '../../agent/send/send-loop.js';
import { SenderControl } from '../../agent/send/sender-control.js';
import { SlowGate } from '../../agent/send/slow-gate.js';
import { SlowedNetworks } from '../../agent/send/slowed-networks.js';
import type { SenderIndex } from '../../agent/send/stripes.js';
import { mappedWords, parseWords } from '../../shared/net/ipv6.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Plan } from '../../shared/survey/plan.js';
import { Space } from '../../shared/survey/space/space.js';
import type { MemoryFrameSender } from './memory-frame-sender.js';
import { blocking } from './send-filters.js';
import { TCP_SYN_SET } from './tcp-syn-set.js';

export const HTTP_AND_HTTPS = [80, 443] as ProbePort[];
export const plan = new Plan(
  Space.ofIpv4(Ranges.of([{ from: 0xc6120000, to: 0xc6120200 }]), HTTP_AND_HTTPS),
  '7',
  256,
);
const ALL: Destinations = {
  family: 4,
  from: Float64Array.of(0),
  to: Float64Array.of(2 ** 32),
};
const ALONE: SenderIndex = { index: 0, count: 1 };

/** Settings of a loop; without any, it sends all of `plan`. */
export interface World {
  readonly blocked?: Ranges;
  readonly slowed?: SlowedNetworks;
  readonly nextFilter?: () => SendFilter | undefined;
  readonly senderIndex?: SenderIndex;
  readonly plan?: Plan;
  readonly nextJob?: () => SendJob | undefined;
}

/** A send loop in this thread, over frame senders in memory; its clock advances with each reading. */
export function loopOver(
  frameSenders: readonly MemoryFrameSender[],
  destinations: readonly Destinations[],
  world: World,
) {
  const control = new SenderControl();
  const unsent: [position: number, code: number][] = [];
  let now = 0;
  const egresses = frameSenders.map((frameSender, i) => {
    const { family } = destinations[i] as Destinations;
    const source = family === 4 ? mappedWords(0x64400001) : parseWords('2001:db8::1');
    const ports = { from: 61000, to: 61064 };
    return new Egress({
      frameSender,
      family,
      sources: [source],
      ports,
      probe: TCP_SYN_SET.packets[0]!,
    });
  });
  const loop = new SendLoop({
    plan: world.plan ?? plan,
    egresses,
    probeCount: 1,
    router: new Router(destinations),
    sendFilter: blocking(world.blocked ?? Ranges.none),
    slowGate: new SlowGate(world.slowed ?? new SlowedNetworks(), 1),
    nextFilter: world.nextFilter ?? (() => undefined),
    senderIndex: world.senderIndex ?? ALONE,
    control,
    nextJob: world.nextJob ?? (() => undefined),
    coversAll: true,
    onUnsent: ({ positions, codes }) => {
      for (const [i, code] of codes.entries()) unsent.push([positions[i] as number, code]);
    },
    now: () => {
      now += 5;
      return now;
    },
    wallMicros: () => 0,
  });
  control.grant(1e6, Number.POSITIVE_INFINITY, 0);
  control.prepare(0, 0);
  return { loop, control, unsent };
}

/** Stops the loop, which runs in this thread, once a condition holds: it is checked whenever the loop waits. */
export function setStopAfter(control: SenderControl, isDone: () => boolean): void {
  const wait = control.wait.bind(control);
  control.wait = (wakeCount) => {
    if (isDone()) control.stop();
    else wait(wakeCount, 0);
  };
}

export const loopOn = (frameSender: MemoryFrameSender, world: World = {}) =>
  loopOver([frameSender], [ALL], world);
