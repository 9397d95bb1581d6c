/**
 * From positions to frames: which target a position is, which way out leads to it, whether it may be
 * probed, and, on a link of our own, who it is there. Targets on such a link wait in a line until that is
 * known. What is passed by without a probe is noted with the reason.
 */
import type { TargetIndex } from '../../shared/base/brand.js';
import { Target } from '../../shared/net/target.js';
import { RUN_MAX } from '../../shared/permutation/feistel.js';
import { CookieJar } from '../../shared/probe/cookies.js';
import type { Plan } from '../../shared/survey/plan.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import { ASKING, type Found, NOBODY, UNASKED } from '../ports.js';
import type { Exit } from './exit.js';
import type { Guard } from './guard.js';
import type { Pacer } from './pacer.js';
import type { Router } from './router.js';
import { UnsentLog } from './unsent-log.js';
import { NO_SLOT, WaitingLine } from './waiting-line.js';

export interface ProbeWriterParts {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly exits: readonly Exit[];
  readonly router: Router;
  /** Whether a way out leads to every target. */
  readonly isWhole: boolean;
  /** Told of every packet that is written. */
  readonly pacer: Pacer;
  readonly isAbandoned: (slot: number) => boolean;
  /** Microseconds of the clock that captured frames are stamped with. */
  readonly wallMicros: () => number;
}

interface Place {
  /** Of the order. */
  readonly slot: number;
  readonly position: number;
}

export class ProbeWriter {
  /** What is held back at present. */
  guard: Guard;
  readonly unsent = new UnsentLog();
  readonly #parts: ProbeWriterParts;
  readonly #cookies: CookieJar;
  readonly #target = new Target();
  /** Whether all targets are plain, and leave by the one way out there is. */
  readonly #isPlain: boolean;
  readonly #line: WaitingLine | undefined;

  constructor(parts: ProbeWriterParts, guard: Guard) {
    this.#parts = parts;
    this.guard = guard;
    this.#cookies = new CookieJar(parts.key);
    const hasNeighbours = parts.exits.some(({ neighbours }) => neighbours !== undefined);
    const isOneWay = parts.exits.length === 1 && parts.isWhole && !hasNeighbours;
    this.#isPlain = isOneWay && parts.plan.space.isPlain;
    this.#line = hasNeighbours ? new WaitingLine() : undefined;
  }

  /** Frames that any of the ways out can take: all probes of a batch may go the same way. */
  get room(): number {
    let room = Number.POSITIVE_INFINITY;
    for (const { wire } of this.#parts.exits) room = Math.min(room, wire.room());
    return room;
  }

  /** Whether a whole run may be written: the line takes as many as may have to wait. */
  get hasRoomToWait(): boolean {
    return this.#line === undefined || this.#line.room >= RUN_MAX;
  }

  /** From here on positions of this order are written, and of no other before the next call. */
  open(slot: number): void {
    this.#line?.open(slot);
  }

  /** The first position of an order that waits; undefined where none does. */
  firstWaiting(slot: number): number | undefined {
    return this.#line?.firstOf(slot);
  }

  /** Hears who neighbours are, and asks again where that is due. @returns packets sent */
  tend(now: number, most: number): number {
    let sent = 0;
    for (const { neighbours } of this.#parts.exits) {
      if (neighbours !== undefined) sent += neighbours.tend(now, most - sent);
    }
    this.#parts.pacer.spend(sent);
    return sent;
  }

  /** Writes the probes of those at the head of the line that are known. @returns whether any left the line */
  writeWaiting(most: number, now: number): boolean {
    const line = this.#line;
    if (line === undefined) return false;
    const { exits, isAbandoned } = this.#parts;
    let taken = 0;
    for (let written = 0; written < most && line.length > 0; taken++) {
      const { slot, position } = line;
      const exit = exits[line.exit] as Exit;
      if (slot !== NO_SLOT && !isAbandoned(slot)) {
        const { target } = line;
        const found = exit.neighbours?.find(target, now) ?? NOBODY;
        if (found === ASKING) break;
        if (this.#add(exit, slot, position, target, found)) written++;
      }
      line.take();
    }
    this.#writeAll(-1);
    return taken > 0;
  }

  /** Adds a neighbour to its way out, unless it may not be probed or nobody is there. */
  #add(exit: Exit, slot: number, position: number, target: Target, mac: Found) {
    const { volley } = exit;
    volley.add(target, position);
    const code = this.guard.codeFor(volley, volley.count - 1, exit.family);
    if (code === 0 && typeof mac !== 'string') {
      exit.addressTo(mac, slot);
      return true;
    }
    volley.count--;
    this.unsent.note(
      slot,
      position,
      code || (mac === UNASKED ? UNSENT.SEND_FAILED : UNSENT.NO_NEIGHBOUR),
    );
    return false;
  }

  /** Writes the probes of an order's positions [position, position + count) into frames. */
  write(slot: number, position: number, count: number, now: number): void {
    const { plan, exits } = this.#parts;
    const indices = plan.permutation.run(position, count);
    const [first] = exits;
    if (this.#isPlain && first !== undefined) {
      const { volley } = first;
      plan.space.fill(indices, count, volley.w3, volley.port);
      for (let i = 0; i < count; i++) volley.position[i] = position + i;
      volley.count = count;
    } else this.#route({ slot, position }, indices, count, now);
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
        this.guard.sift(volley, family, (row, code) =>
          this.unsent.note(slot, volley.position[row] as number, code),
        );
      }
      exit.write(this.#cookies, stamp);
      written += exit.written;
    }
    this.#parts.pacer.spend(written);
  }

  /** Gives the targets at the indices to the ways out that lead to them. */
  #route(first: Place, indices: Float64Array, count: number, now: number): void {
    const { plan, router, exits } = this.#parts;
    const target = this.#target;
    const { slot } = first;
    for (let i = 0; i < count; i++) {
      const position = first.position + i;
      plan.space.at(indices[i] as TargetIndex, target);
      const number = router.exitFor(target);
      const exit = exits[number];
      if (exit === undefined) this.unsent.note(slot, position, UNSENT.UNROUTABLE);
      else if (exit.neighbours === undefined) exit.volley.add(target, position);
      else this.#wait(exit, number, { slot, position }, now);
    }
  }

  /** Puts a neighbour in the line, and asks for it where that is new; not one that may not be probed. */
  #wait(exit: Exit, number: number, at: Place, now: number): void {
    const { volley, neighbours, family } = exit;
    const target = this.#target;
    volley.add(target);
    const code = this.guard.codeFor(volley, --volley.count, family);
    if (code !== 0) this.unsent.note(at.slot, at.position, code);
    else {
      if (neighbours?.ask(target, now)) this.#parts.pacer.spend(1);
      this.#line?.add(at.slot, number, at.position, target);
    }
  }

  /** What was written has left. */
  commit(): void {
    this.#line?.commit();
  }

  /**
   * What was written and has not left is taken back; what has left stays so, and is not written again.
   * @param order the one that is being walked along, if there is one, and how far
   * @returns how far it is now
   */
  withdraw(order: { readonly slot: number; readonly position: number }): number {
    const left = this.#parts.exits.filter(({ written }) => written > 0);
    const isFirst = (slot: number, position: number) =>
      left.some((exit) => exit.firstSlot === slot && exit.firstPosition === position);
    const back = this.#line?.rollBack(isFirst) ?? [];
    this.unsent.forget((slot, position) =>
      back.some((place) => place.slot === slot && place.position === position),
    );
    const ofOrder = left.filter(({ firstSlot }) => firstSlot === undefined);
    const reached = Math.min(...ofOrder.map(({ firstPosition }) => firstPosition));
    for (const exit of left) {
      exit.wire.withdraw();
      exit.written = 0;
    }
    const { slot, position } = order;
    if (!Number.isFinite(reached)) return position;
    this.#line?.keepBefore(slot, reached);
    this.unsent.forget((of, at) => of === slot && at >= reached);
    return reached;
  }

  /** An order is abandoned: none of its targets is probed any more. */
  drop(slot: number): void {
    this.#line?.drop(slot);
  }
}
