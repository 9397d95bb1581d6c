/**
 * The hot path of sending: positions → targets → frames → kernel, at the pace granted. Runs in a
 * thread of its own without promises or allocation; what it may do and what it has done is on the
 * desk. A probe counts as sent when the kernel took it.
 *
 * Where several senders share an order, each takes every n-th stretch of it, so that together they
 * move along it, and nothing about shards or positions depends on how many there are.
 */
import type { TargetIndex } from '../../shared/base/brand.js';
import { LIMITS } from '../../shared/base/limits.js';
import { Target } from '../../shared/net/target.js';
import { RUN_MAX } from '../../shared/permutation/feistel.js';
import { CookieJar } from '../../shared/probe/cookies.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Desk } from './desk.js';
import type { Exit } from './exit.js';
import type { Guard } from './guard.js';
import { Pacer } from './pacer.js';
import { REFUSALS, refusalOf } from './refusal.js';
import type { Router } from './router.js';

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
  /** What is held back at first. */
  readonly guard: Guard;
  /** The next version of what is held back, if there is one. */
  readonly nextGuard: () => Guard | undefined;
  readonly turn: Turn;
  readonly desk: Desk;
  /** The next order, if there is one. */
  readonly nextOrder: () => Order | undefined;
  /** Monotonic milliseconds, the clock of the grants. */
  readonly now: () => number;
  /** Microseconds of the clock that captured frames are stamped with. */
  readonly wallMicros: () => number;
}

const IDLE_MILLIS = 100;
const ENOBUFS = 105;
const FULL_MILLIS = 1;
/** What one sender takes at a time of an order that several share. */
const STRETCH = 512;

export class SendLoop {
  readonly #parts: SendParts;
  readonly #pacer: Pacer;
  readonly #cookies: CookieJar;
  readonly #target = new Target();
  readonly #isPlain: boolean;
  #guard: Guard;
  #lost = 0;
  #excluded = 0;

  constructor(parts: SendParts) {
    this.#parts = parts;
    this.#pacer = new Pacer(parts.now());
    this.#cookies = new CookieJar(parts.key);
    this.#isPlain = parts.plan.space.isPlain;
    this.#guard = parts.guard;
  }

  /** Until the desk says stop. */
  run(): void {
    const { desk, nextOrder } = this.#parts;
    while (!desk.isStopped) {
      const heard = desk.bell;
      this.#changeGuard();
      const order = nextOrder();
      if (order === undefined) desk.wait(heard, IDLE_MILLIS);
      else this.send(order);
    }
    for (let order = nextOrder(); order !== undefined; order = nextOrder()) desk.end(order.slot);
  }

  /** Sends our stretches of one order to its end, or until it is abandoned. */
  send({ slot, from, to }: Order): void {
    const { desk, now } = this.#parts;
    this.#lost = 0;
    this.#excluded = 0;
    let position = this.#nextOurs(from);
    desk.setProgress(slot, Math.min(position, to), 0, 0);
    desk.mark(slot, this.#guard.version, from);
    while (position < to && !desk.isStopped && !desk.isAbandoned(slot)) {
      const heard = desk.bell;
      if (this.#changeGuard()) desk.mark(slot, this.#guard.version, position);
      const instant = now();
      const rate = instant < desk.grantUntil && desk.isGuarded ? desk.grantRate : 0;
      const allowance = this.#pacer.allowance(instant, rate);
      if (allowance === 0) {
        desk.wait(heard, this.#pacer.pause(rate));
        continue;
      }
      const room = this.#room();
      if (room === 0) {
        desk.addRefused(refusalOf(ENOBUFS));
        desk.wait(heard, FULL_MILLIS);
        continue;
      }
      const ours = this.#stretchEnd(position, to) - position;
      const count = Math.min(allowance, room, ours, RUN_MAX);
      const [lost, excluded] = [this.#lost, this.#excluded];
      this.#pacer.spend(this.#write(position, count));
      if (!this.#dispatchAll(slot)) {
        // What may not leave any more is written anew once it may; or the order is left.
        this.#withdrawAll();
        [this.#lost, this.#excluded] = [lost, excluded];
        continue;
      }
      position = this.#nextOurs(position + count);
      desk.setProgress(slot, Math.min(position, to), this.#lost, this.#excluded);
    }
    desk.end(slot);
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

  /** Writes the probes of `count` positions into frames; returns how many. */
  #write(position: number, count: number): number {
    const { plan, exits, wallMicros } = this.#parts;
    const indices = plan.permutation.run(position, count);
    const [first] = exits;
    if (exits.length === 1 && first !== undefined && this.#isPlain) {
      plan.space.fill(indices, count, first.volley.w3, first.volley.port);
      first.volley.count = count;
    } else this.#route(indices, count);
    const stamp = wallMicros() >>> 0;
    let written = 0;
    for (const exit of exits) {
      if (exit.volley.count === 0) continue;
      this.#excluded += exit.write(this.#guard, this.#cookies, stamp);
      written += exit.written;
    }
    return written;
  }

  /** Gives the targets at the indices to the ways out that lead to them. */
  #route(indices: Float64Array, count: number): void {
    const { plan, router, exits } = this.#parts;
    const target = this.#target;
    for (let i = 0; i < count; i++) {
      plan.space.at(indices[i] as TargetIndex, target);
      const exit = exits[router.exitFor(target)];
      if (exit === undefined) this.#lost++;
      else exit.volley.add(target);
    }
  }

  /** Hands what is written to the kernel; false where the rest of it may not leave any more. */
  #dispatchAll(slot: number): boolean {
    for (const exit of this.#parts.exits) {
      if (exit.written > 0 && !this.#dispatch(exit, slot)) return false;
    }
    return true;
  }

  /** Hands frames to the kernel until it has them all; false where the rest may not leave any more. */
  #dispatch(exit: Exit, slot: number): boolean {
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
      if (!this.#maySend(slot)) return false;
      const pause = REFUSALS[refusal]?.pauseMillis ?? 0;
      if (pause > 0) desk.wait(heard, pause);
      else if (++refusals >= LIMITS.sendTries) {
        this.#lost++;
        wire.skip();
        exit.written--;
        refusals = 0;
      }
    }
    return true;
  }

  /** Whether what has been written may still leave: the kernel may have kept us waiting for long. */
  #maySend(slot: number): boolean {
    const { desk, now } = this.#parts;
    if (desk.isStopped || desk.isAbandoned(slot) || !desk.isGuarded) return false;
    const isLent = desk.grantRate > 0 && now() < desk.grantUntil;
    return isLent && desk.posted === this.#guard.version;
  }

  #withdrawAll(): void {
    for (const exit of this.#parts.exits) {
      exit.wire.withdraw();
      exit.written = 0;
    }
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
