/**
 * The hot path of sending: along the positions of orders, through the writer, to the kernel, at the pace
 * granted. Runs in a thread of its own without promises or allocation; what it may do and what it has done
 * is on the desk. A probe counts as sent when the kernel took it.
 *
 * Where several senders share an order, each takes every n-th stretch of it, so that together they
 * move along it, and nothing about shards or positions depends on how many there are.
 *
 * Targets on a link of our own wait in a line until it is known who they are on the link; other targets,
 * and other orders, go on meanwhile.
 */
import { LIMITS } from '../../shared/base/limits.js';
import { RUN_MAX } from '../../shared/permutation/feistel.js';
import type { Plan } from '../../shared/survey/plan.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import type { Desk } from './desk.js';
import type { Exit } from './exit.js';
import type { Guard } from './guard.js';
import { Pacer } from './pacer.js';
import { ProbeWriter } from './probe-writer.js';
import { REFUSALS, refusalOf } from './refusal.js';
import type { Router } from './router.js';
import type { UnsentMessage } from './unsent-log.js';
import { NO_SLOT } from './waiting-line.js';

/** Positions [from, to) to be sent, and where on the desk progress is noted. */
export interface Order {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
}

/** Which of how many senders this is. */
export interface Turn {
  readonly index: number;
  readonly count: number;
}

export interface SendParts {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly exits: readonly Exit[];
  readonly router: Router;
  /** Whether a way out leads to every target. */
  readonly isWhole: boolean;
  /** What is held back at first. */
  readonly guard: Guard;
  /** The next version of what is held back, if there is one. */
  readonly nextGuard: () => Guard | undefined;
  readonly turn: Turn;
  readonly desk: Desk;
  /** The next order, if there is one. */
  readonly nextOrder: () => Order | undefined;
  /** Hands over what was passed by, before the desk says how far an order has come. */
  readonly onUnsent: (message: UnsentMessage) => void;
  /** Monotonic milliseconds, the clock of the grants. */
  readonly now: () => number;
  /** Microseconds of the clock that captured frames are stamped with. */
  readonly wallMicros: () => number;
}

const IDLE_MILLIS = 100;
const ENOBUFS = 105;
const FULL_MILLIS = 1;
/** A queue that takes nothing for so long does not drain: a rule at the interface drops what we send, say. */
const STUCK_MILLIS = 5000;
/** How often the line is looked at while all in it wait. */
const LINE_MILLIS = 5;
/** What one sender takes at a time of an order that several share. */
const STRETCH = 512;

export class SendLoop {
  readonly #parts: SendParts;
  readonly #pacer: Pacer;
  readonly #writer: ProbeWriter;
  /** The order that is being walked along, and how far. */
  #order: Order | undefined;
  #position = 0;
  /** Positions that the current step goes on by, once all of it has left. */
  #walked = 0;
  /** Since when the kernel has taken nothing of what it might have taken. */
  #fullSince = Number.POSITIVE_INFINITY;
  /** Orders that have been walked to their end, of which some targets still wait. */
  readonly #tails = new Set<Order>();

  constructor(parts: SendParts) {
    this.#parts = parts;
    this.#pacer = new Pacer(parts.now());
    const isAbandoned = (slot: number) => parts.desk.isAbandoned(slot);
    this.#writer = new ProbeWriter({ ...parts, pacer: this.#pacer, isAbandoned }, parts.guard);
  }

  /** Until the desk says stop. */
  run(): void {
    const { desk, nextOrder } = this.#parts;
    while (!desk.isStopped) {
      const heard = desk.bell;
      if (this.#order === undefined) this.#begin(nextOrder());
      if (this.#order !== undefined || this.#tails.size > 0) this.#step(heard);
      else {
        this.#changeGuard();
        desk.wait(heard, IDLE_MILLIS);
      }
    }
    this.#endAll();
    for (let order = nextOrder(); order !== undefined; order = nextOrder()) desk.end(order.slot);
  }

  /** Sends our stretches of one order to its end, or until it is abandoned. */
  send(order: Order): void {
    const { desk } = this.#parts;
    this.#begin(order);
    while ((this.#order !== undefined || this.#tails.size > 0) && !desk.isStopped) {
      this.#step(desk.bell);
    }
    this.#endAll();
  }

  #begin(order: Order | undefined): void {
    if (order === undefined) return;
    const { desk } = this.#parts;
    this.#order = order;
    this.#position = this.#nextOurs(order.from);
    this.#writer.open(order.slot);
    desk.setSent(order.slot, Math.min(this.#position, order.to));
    desk.mark(order.slot, this.#writer.guard.version, order.from);
  }

  /** Sends some more, or waits until it may. @param heard the desk's bell before anything was looked at */
  #step(heard: number): void {
    const { desk, now } = this.#parts;
    const order = this.#order;
    if (this.#changeGuard() && order !== undefined) {
      desk.mark(order.slot, this.#writer.guard.version, this.#position);
    }
    if (order !== undefined && desk.isAbandoned(order.slot)) {
      this.#order = undefined;
      this.#tails.add(order);
    }
    const instant = now();
    const rate = instant < desk.grantUntil && desk.isGuarded ? desk.grantRate : 0;
    const allowance = this.#pacer.allowance(instant, rate);
    if (allowance === 0) {
      desk.wait(heard, this.#pacer.pause(rate));
      this.#tell(); // what is abandoned ends also while nothing may be sent
      return;
    }
    const { room } = this.#writer;
    if (room === 0) {
      desk.addRefused(refusalOf(ENOBUFS));
      desk.wait(heard, FULL_MILLIS);
      return;
    }
    const most = Math.min(allowance, room, RUN_MAX);
    const spent = this.#writer.tend(instant, most);
    if (spent >= most) return;
    const fromLine = this.#writer.writeWaiting(most - spent, instant);
    const isIdle = !fromLine && !this.#takeFromOrder(most - spent, instant);
    if (isIdle) desk.wait(heard, LINE_MILLIS);
    else this.#leave();
    this.#tell();
  }

  /** Goes on along the order. @returns whether there was anything to go on with */
  #takeFromOrder(most: number, now: number): boolean {
    const order = this.#order;
    if (order === undefined || !this.#writer.hasRoomToWait) return false;
    const ours = this.#stretchEnd(this.#position, order.to) - this.#position;
    const count = Math.min(most, ours);
    if (count > 0) this.#writer.write(order.slot, this.#position, count, now);
    this.#walked = Math.max(0, count);
    return true;
  }

  /** Hands what is written to the kernel; what may not leave any more is written anew once it may. */
  #leave(): void {
    const hasLeft = this.#dispatchAll();
    const order = this.#order;
    const at = { slot: order?.slot ?? NO_SLOT, position: this.#position };
    if (hasLeft) this.#writer.commit();
    else this.#position = this.#writer.withdraw(at);
    const walked = this.#walked;
    this.#walked = 0;
    if (!hasLeft || order === undefined) return;
    this.#position = this.#nextOurs(this.#position + walked);
    if (this.#position < order.to) return;
    this.#order = undefined;
    this.#tails.add(order);
  }

  /** Tells how far orders have come; first what was passed by on the way. */
  #tell(): void {
    const { desk, onUnsent } = this.#parts;
    const { unsent } = this.#writer;
    if (unsent.length > 0) for (const message of unsent.take()) onUnsent(message);
    const order = this.#order;
    if (order !== undefined) {
      const waiting = this.#writer.firstWaiting(order.slot);
      desk.setSent(order.slot, Math.min(waiting ?? this.#position, order.to));
    }
    for (const tail of this.#tails) {
      const waiting = this.#writer.firstWaiting(tail.slot);
      const isAbandoned = desk.isAbandoned(tail.slot);
      if (!isAbandoned) desk.setSent(tail.slot, waiting ?? tail.to);
      if (!isAbandoned && waiting !== undefined) continue;
      if (isAbandoned) this.#writer.drop(tail.slot);
      desk.end(tail.slot);
      this.#tails.delete(tail);
    }
  }

  #endAll(): void {
    const { desk } = this.#parts;
    if (this.#order !== undefined) this.#tails.add(this.#order);
    for (const { slot } of this.#tails) desk.end(slot);
    this.#order = undefined;
    this.#tails.clear();
  }

  /** Takes the latest version of what is held back; costs one look at the desk where there is none. */
  #changeGuard(): boolean {
    const { desk, nextGuard } = this.#parts;
    const before = this.#writer.guard;
    if (desk.posted === before.version) return false;
    for (let next = nextGuard(); next !== undefined; next = nextGuard()) this.#writer.guard = next;
    desk.guarded = this.#writer.guard.version;
    return this.#writer.guard !== before;
  }

  /** Hands what is written to the kernel; false where the rest of it may not leave any more. */
  #dispatchAll(): boolean {
    for (const exit of this.#parts.exits) {
      if (exit.written > 0 && !this.#dispatch(exit)) return false;
    }
    return true;
  }

  /** Hands frames to the kernel until it has them all; false where the rest may not leave any more. */
  #dispatch(exit: Exit): boolean {
    const { desk, now } = this.#parts;
    const { wire } = exit;
    let refusals = 0;
    while (exit.written > 0) {
      const taken = wire.send(exit.written);
      exit.written -= taken;
      if (taken > 0) {
        desk.addSent(taken);
        refusals = 0;
        this.#fullSince = Number.POSITIVE_INFINITY;
        continue;
      }
      const heard = desk.bell;
      const refusal = refusalOf(wire.errno);
      desk.addRefused(refusal);
      if (!this.#maySend) {
        this.#fullSince = Number.POSITIVE_INFINITY;
        return false;
      }
      const { pauseMillis = 0, isDown, unsent = UNSENT.SEND_FAILED } = REFUSALS[refusal] ?? {};
      this.#fullSince = isDown ? Number.POSITIVE_INFINITY : Math.min(this.#fullSince, now());
      const isStuck = now() - this.#fullSince >= STUCK_MILLIS;
      if (pauseMillis > 0 && !isStuck) desk.wait(heard, pauseMillis);
      else if (++refusals >= LIMITS.sendTries) {
        this.#writer.unsent.note(
          exit.firstSlot ?? this.#order?.slot ?? 0,
          exit.firstPosition,
          unsent,
        );
        exit.skip();
        refusals = 0;
      }
    }
    return true;
  }

  /** Whether what has been written may still leave: the kernel may have kept us waiting for long. */
  get #maySend(): boolean {
    const { desk, now } = this.#parts;
    const isLeft = this.#order !== undefined && desk.isAbandoned(this.#order.slot);
    if (desk.isStopped || isLeft || !desk.isGuarded) return false;
    const isLent = desk.grantRate > 0 && now() < desk.grantUntil;
    return isLent && desk.posted === this.#writer.guard.version;
  }

  /** The first position from `position` on that is in a stretch of ours. */
  #nextOurs(position: number): number {
    const { index, count } = this.#parts.turn;
    if (count === 1) return position;
    const stretch = Math.floor(position / STRETCH);
    const ahead = (index - (stretch % count) + count) % count;
    return ahead === 0 ? position : (stretch + ahead) * STRETCH;
  }

  #stretchEnd(position: number, to: number): number {
    if (this.#parts.turn.count === 1) return to;
    return Math.min(to, (Math.floor(position / STRETCH) + 1) * STRETCH);
  }
}
