/**
 * The hot path of sending: positions → targets → frames → kernel, at the pace granted. Runs in a
 * thread of its own without promises or allocation; what it may do and what it has done is on the
 * desk. A probe counts as sent when the kernel took it.
 */
import type { Position } from '../../shared/base/brand.js';
import { LIMITS } from '../../shared/base/limits.js';
import { Target } from '../../shared/net/target.js';
import { CookieJar } from '../../shared/probe/cookies.js';
import {
  Aim,
  Frame,
  type Origin,
  type Probe,
  type ProbeOptions,
} from '../../shared/probe/probe.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Wire } from '../ports.js';
import type { Desk } from './desk.js';
import type { Guard } from './guard.js';
import { Pacer } from './pacer.js';

/** Positions [from, to) to be sent, and where on the desk progress is noted. */
export interface Order {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
}

export interface SendParts {
  readonly plan: Plan;
  readonly probe: Probe;
  readonly probeOptions: ProbeOptions;
  readonly key: Uint8Array;
  readonly origin: Origin;
  readonly wire: Wire;
  readonly guard: Guard;
  readonly desk: Desk;
  /** The next order, if there is one. */
  readonly nextOrder: () => Order | undefined;
  /** Monotonic milliseconds, the clock of the grants. */
  readonly now: () => number;
}

const IDLE_MILLIS = 100;
const FULL_MILLIS = 1;
const DOWN_MILLIS = 100;

// errno(3): the queue is full; try again soon.
const EAGAIN = 11;
const ENOMEM = 12;
const ENOBUFS = 105;
// The interface is down or gone; it may come back.
const ENXIO = 6;
const ENODEV = 19;
const ENETDOWN = 100;

export class SendLoop {
  readonly #parts: SendParts;
  readonly #pacer: Pacer;
  readonly #frame: Frame;
  readonly #cookies: CookieJar;
  readonly #target = new Target();
  readonly #aim = new Aim();
  readonly #portCount: number;
  #lost = 0;
  #excluded = 0;

  constructor(parts: SendParts) {
    this.#parts = parts;
    this.#pacer = new Pacer(parts.now());
    this.#frame = new Frame(parts.wire.view);
    this.#cookies = new CookieJar(parts.key);
    this.#aim.source = parts.origin.address;
    this.#portCount = parts.origin.ports.to - parts.origin.ports.from;
    for (let slot = 0; slot < parts.wire.batch; slot++) {
      this.#moveTo(slot);
      parts.probe.prepare(this.#frame, parts.probeOptions);
    }
  }

  /** Until the desk says stop. */
  run(): void {
    const { desk, nextOrder } = this.#parts;
    while (!desk.isStopped) {
      const heard = desk.bell;
      const order = nextOrder();
      if (order === undefined) desk.wait(heard, IDLE_MILLIS);
      else this.send(order);
    }
  }

  /** Sends one order to its end, or until it is abandoned. */
  send({ slot, from, to }: Order): void {
    const { desk, wire, now } = this.#parts;
    this.#lost = 0;
    this.#excluded = 0;
    let position = from;
    while (position < to && !desk.isStopped && !desk.isAbandoned(slot)) {
      const heard = desk.bell;
      const instant = now();
      const rate = instant < desk.grantUntil ? desk.grantRate : 0;
      const allowance = Math.min(this.#pacer.allowance(instant, rate), wire.batch, to - position);
      if (allowance === 0) {
        desk.wait(heard, this.#pacer.pause(rate));
        continue;
      }
      const frames = this.#write(position, allowance);
      if (!this.#dispatch(frames, slot)) break;
      this.#pacer.spend(frames);
      position += allowance;
      desk.setProgress(slot, position, this.#lost, this.#excluded);
    }
    desk.end(slot);
  }

  /** Writes the probes of `count` positions into the wire's frames; returns how many frames. */
  #write(position: number, count: number): number {
    const { plan, guard, probe, origin } = this.#parts;
    const target = this.#target;
    const aim = this.#aim;
    let frames = 0;
    for (let i = 0; i < count; i++) {
      plan.space.at(plan.permutation.at((position + i) as Position), target);
      if (guard.refuses(target.w3)) {
        this.#excluded++;
        continue;
      }
      aim.address = target.w3;
      aim.port = target.port;
      aim.sourcePort =
        origin.ports.from + this.#cookies.sourcePortChoice(target.w3, target.port, this.#portCount);
      this.#cookies.bake(aim.source, aim.sourcePort, aim.address, aim.port);
      this.#moveTo(frames++);
      probe.aim(this.#frame, aim, this.#cookies);
    }
    return frames;
  }

  /** Hands frames to the kernel until it has them all; false where the order is to be left. */
  #dispatch(frames: number, slot: number): boolean {
    const { desk, wire } = this.#parts;
    let from = 0;
    let refusals = 0;
    while (from < frames) {
      const taken = wire.send(from, frames);
      desk.addTotals(taken, taken === 0 ? 1 : 0);
      from += taken;
      if (taken > 0) {
        refusals = 0;
        continue;
      }
      if (desk.isStopped || desk.isAbandoned(slot)) return false;
      const millis = pauseAfter(wire.errno);
      if (millis > 0) desk.wait(desk.bell, millis);
      else if (++refusals >= LIMITS.sendTries) {
        this.#lost++;
        from++;
        refusals = 0;
      }
    }
    return true;
  }

  #moveTo(slot: number): void {
    this.#frame.moveTo(this.#parts.wire.frameAt(slot), this.#parts.probe.ipOctets);
  }
}

/** How long to wait after an error that passes; 0 for one that is about this very frame. */
function pauseAfter(errno: number): number {
  if (errno === ENOBUFS || errno === EAGAIN || errno === ENOMEM) return FULL_MILLIS;
  if (errno === ENETDOWN || errno === ENXIO || errno === ENODEV) return DOWN_MILLIS;
  return 0;
}
