/**
 * The hot path of sending: positions → targets → frames → kernel, at the pace granted. Runs in a
 * thread of its own without promises or allocation; what it may do and what it has done is on the
 * desk. A probe counts as sent when the kernel took it; a position that was passed by without one is noted
 * with the reason.
 *
 * Where several senders share an order, each takes every n-th stretch of it, so that together they
 * move along it, and nothing about shards or positions depends on how many there are.
 *
 * Targets on a link of our own wait in a line until it is known who they are on the link; other targets,
 * and other orders, go on meanwhile.
 */
import type { TargetIndex } from '../../shared/base/brand.js';
import { LIMITS } from '../../shared/base/limits.js';
import { Target } from '../../shared/net/target.js';
import { RUN_MAX } from '../../shared/permutation/feistel.js';
import { CookieJar } from '../../shared/probe/cookies.js';
import type { Plan } from '../../shared/survey/plan.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import { ASKING, NOBODY } from '../ports.js';
import type { Desk } from './desk.js';
import type { Exit } from './exit.js';
import type { Guard } from './guard.js';
import { Pacer } from './pacer.js';
import { REFUSALS, refusalOf } from './refusal.js';
import type { Router } from './router.js';
import { UnsentLog, type UnsentMessage } from './unsent-log.js';
import { WaitingLine } from './waiting-line.js';

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
/** How often the line is looked at while all in it wait. */
const LINE_MILLIS = 5;
/** What one sender takes at a time of an order that several share. */
const STRETCH = 512;

export class SendLoop {
  readonly #parts: SendParts;
  readonly #pacer: Pacer;
  readonly #cookies: CookieJar;
  readonly #target = new Target();
  /** Whether all targets are plain, and leave by the one way out there is. */
  readonly #isPlain: boolean;
  readonly #unsent = new UnsentLog();
  readonly #line: WaitingLine | undefined;
  #guard: Guard;
  /** The order that is being walked along, and how far. */
  #order: Order | undefined;
  #position = 0;
  /** Orders that have been walked to their end, of which some targets still wait. */
  readonly #tails = new Set<Order>();

  constructor(parts: SendParts) {
    this.#parts = parts;
    this.#pacer = new Pacer(parts.now());
    this.#cookies = new CookieJar(parts.key);
    this.#guard = parts.guard;
    const hasNeighbours = parts.exits.some(({ neighbours }) => neighbours !== undefined);
    const isOneWay = parts.exits.length === 1 && parts.isWhole && !hasNeighbours;
    this.#isPlain = isOneWay && parts.plan.space.isPlain;
    this.#line = hasNeighbours ? new WaitingLine() : undefined;
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
    this.#line?.open(order.slot);
    desk.setSent(order.slot, Math.min(this.#position, order.to));
    desk.mark(order.slot, this.#guard.version, order.from);
  }

  /** Sends some more, or waits until it may. @param heard the desk's bell before anything was looked at */
  #step(heard: number): void {
    const { desk, now } = this.#parts;
    const order = this.#order;
    if (this.#changeGuard() && order !== undefined) {
      desk.mark(order.slot, this.#guard.version, this.#position);
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
    const room = this.#room();
    if (room === 0) {
      desk.addRefused(refusalOf(ENOBUFS));
      desk.wait(heard, FULL_MILLIS);
      return;
    }
    const most = Math.min(allowance, room, RUN_MAX);
    const spent = this.#tend(instant, most);
    if (spent >= most) return;
    const fromLine = this.#takeFromLine(most - spent);
    const isIdle = !fromLine && !this.#takeFromOrder(most - spent, instant);
    if (isIdle) desk.wait(heard, LINE_MILLIS);
    else this.#leave();
    this.#tell();
  }

  /** Hears who neighbours are, and asks again where that is due. @returns packets sent */
  #tend(now: number, most: number): number {
    let sent = 0;
    for (const { neighbours } of this.#parts.exits) {
      if (neighbours !== undefined) sent += neighbours.tend(now, most - sent);
    }
    this.#pacer.spend(sent);
    return sent;
  }

  /** Writes the probes of those at the head of the line that are known. @returns whether any left the line */
  #takeFromLine(most: number): boolean {
    const line = this.#line;
    if (line === undefined) return false;
    const { exits, desk, now } = this.#parts;
    let taken = 0;
    for (let written = 0; written < most && line.length > 0; taken++) {
      const { slot, position } = line;
      const exit = exits[line.exit] as Exit;
      if (!desk.isAbandoned(slot)) {
        const { target } = line;
        const found = exit.neighbours?.find(target, now()) ?? NOBODY;
        if (found === ASKING) break;
        if (this.#add(exit, slot, position, target, found)) written++;
      }
      line.take();
    }
    this.#writeAll(-1);
    return taken > 0;
  }

  /** Adds a neighbour to its way out, unless it may not be probed or nobody is there. */
  #add(
    exit: Exit,
    slot: number,
    position: number,
    target: Target,
    mac: Uint8Array | typeof NOBODY,
  ) {
    const { volley } = exit;
    volley.add(target, position);
    const code = this.#guard.codeFor(volley, volley.count - 1, exit.family);
    if (code === 0 && mac !== NOBODY) {
      exit.addressTo(mac, slot);
      return true;
    }
    volley.count--;
    this.#unsent.note(slot, position, code || UNSENT.NO_NEIGHBOUR);
    return false;
  }

  /** Goes on along the order. @returns whether there was anything to go on with */
  #takeFromOrder(most: number, now: number): boolean {
    const order = this.#order;
    const line = this.#line;
    if (order === undefined || (line !== undefined && line.room < RUN_MAX)) return false;
    const ours = this.#stretchEnd(this.#position, order.to) - this.#position;
    const count = Math.min(most, ours);
    if (count > 0) this.#write(order, count, now);
    this.#walked = Math.max(0, count);
    return true;
  }

  /** Positions that the current step goes on by, once all of it has left. */
  #walked = 0;

  /** Hands what is written to the kernel; what may not leave any more is written anew once it may. */
  #leave(): void {
    if (!this.#dispatchAll()) {
      for (const exit of this.#parts.exits) {
        exit.wire.withdraw();
        exit.written = 0;
      }
      this.#unsent.cut(0);
      this.#line?.rollBack();
      this.#walked = 0;
      return;
    }
    this.#line?.commit();
    const order = this.#order;
    if (order === undefined) return;
    this.#position = this.#nextOurs(this.#position + this.#walked);
    this.#walked = 0;
    if (this.#position < order.to) return;
    this.#order = undefined;
    this.#tails.add(order);
  }

  /** Tells how far orders have come; first what was passed by on the way. */
  #tell(): void {
    const { desk, onUnsent } = this.#parts;
    if (this.#unsent.length > 0) for (const message of this.#unsent.take()) onUnsent(message);
    const order = this.#order;
    if (order !== undefined) {
      const waiting = this.#line?.firstOf(order.slot);
      desk.setSent(order.slot, Math.min(waiting ?? this.#position, order.to));
    }
    for (const tail of this.#tails) {
      const waiting = this.#line?.firstOf(tail.slot);
      const isAbandoned = desk.isAbandoned(tail.slot);
      if (!isAbandoned) desk.setSent(tail.slot, waiting ?? tail.to);
      if (!isAbandoned && waiting !== undefined) continue;
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
    if (desk.posted === this.#guard.version) return false;
    const before = this.#guard;
    for (let next = nextGuard(); next !== undefined; next = nextGuard()) this.#guard = next;
    desk.guarded = this.#guard.version;
    return this.#guard !== before;
  }

  /** Writes the probes of the next `count` positions into frames. */
  #write({ slot }: Order, count: number, now: number): void {
    const { plan, exits } = this.#parts;
    const position = this.#position;
    const indices = plan.permutation.run(position, count);
    const [first] = exits;
    if (this.#isPlain && first !== undefined) {
      const { volley } = first;
      plan.space.fill(indices, count, volley.w3, volley.port);
      for (let i = 0; i < count; i++) volley.position[i] = position + i;
      volley.count = count;
    } else this.#route(slot, indices, count, now);
    this.#writeAll(slot);
  }

  /** @param slot of the order that all targets are of; −1 where the guard has looked at them */
  #writeAll(slot: number): void {
    const { exits, wallMicros } = this.#parts;
    const stamp = wallMicros() >>> 0;
    let written = 0;
    for (const exit of exits) {
      const { volley, family } = exit;
      if (volley.count === 0) continue;
      if (slot >= 0 && exit.neighbours === undefined) {
        this.#guard.sift(volley, family, (row, code) =>
          this.#unsent.note(slot, volley.position[row] as number, code),
        );
      }
      exit.write(this.#cookies, stamp);
      written += exit.written;
    }
    this.#pacer.spend(written);
  }

  /** Gives the targets at the indices to the ways out that lead to them. */
  #route(slot: number, indices: Float64Array, count: number, now: number): void {
    const { plan, router, exits } = this.#parts;
    const target = this.#target;
    for (let i = 0; i < count; i++) {
      const position = this.#position + i;
      plan.space.at(indices[i] as TargetIndex, target);
      const number = router.exitFor(target);
      const exit = exits[number];
      if (exit === undefined) this.#unsent.note(slot, position, UNSENT.UNROUTABLE);
      else if (exit.neighbours === undefined) exit.volley.add(target, position);
      else this.#wait(exit, number, { slot, position }, now);
    }
  }

  /** Puts a neighbour in the line, and asks for it where that is new; not one that may not be probed. */
  #wait(exit: Exit, number: number, at: { slot: number; position: number }, now: number): void {
    const { volley, neighbours, family } = exit;
    const target = this.#target;
    volley.add(target);
    const code = this.#guard.codeFor(volley, --volley.count, family);
    if (code !== 0) this.#unsent.note(at.slot, at.position, code);
    else {
      if (neighbours?.ask(target, now)) this.#pacer.spend(1);
      this.#line?.add(at.slot, number, at.position, target);
    }
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
    const { desk } = this.#parts;
    const { wire } = exit;
    let refusals = 0;
    while (exit.written > 0) {
      const taken = wire.send(exit.written);
      exit.written -= taken;
      if (taken > 0) {
        desk.addSent(taken);
        refusals = 0;
        continue;
      }
      const heard = desk.bell;
      const refusal = refusalOf(wire.errno);
      desk.addRefused(refusal);
      if (!this.#maySend) return false;
      const { pauseMillis = 0, unsent = UNSENT.SEND_FAILED } = REFUSALS[refusal] ?? {};
      if (pauseMillis > 0) desk.wait(heard, pauseMillis);
      else if (++refusals >= LIMITS.sendTries) {
        this.#unsent.note(exit.firstSlot ?? this.#order?.slot ?? 0, exit.firstPosition, unsent);
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
    return isLent && desk.posted === this.#guard.version;
  }

  /** Frames that any of the ways out can take: all probes of a batch may go the same way. */
  #room(): number {
    let room = Number.POSITIVE_INFINITY;
    for (const { wire } of this.#parts.exits) room = Math.min(room, wire.room());
    return room;
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
