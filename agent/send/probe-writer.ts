/**
 * From positions to frames: which target a position is, which way out leads to it, whether it may be
 * probed, and, on a link of our own, who it is there. Targets on such a link wait in a line until that is
 * known. What is passed by without a probe is noted with the reason.
 */
import type { TargetIndex } from '../../shared/base/brand.js';
import { Target } from '../../shared/net/endpoint.js';
import { RUN_MAX } from '../../shared/permutation/feistel.js';
import { CookieMac } from '../../shared/probe/cookies.js';
import type { Plan } from '../../shared/survey/plan.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import type { Egress } from '../egress/egress.js';
import type { Router } from '../egress/router.js';
import { type Found, NOT_SENT, RESOLVING, UNREACHABLE } from '../interfaces.js';
import type { Pacer } from './pacer.js';
import { NO_JOB, ResolutionQueue } from './resolution-queue.js';
import type { SendFilter } from './send-filter.js';
import { UnsentLog } from './unsent-log.js';

export interface ProbeWriterDeps {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly egresses: readonly Egress[];
  readonly router: Router;
  /** Whether a way out leads to every target. */
  readonly coversAll: boolean;
  /** Told of every packet that is written. */
  readonly pacer: Pacer;
  readonly isAbandoned: (slot: number) => boolean;
  /** Microseconds of the clock that captured frames are stamped with. */
  readonly wallMicros: () => number;
}

interface JobPosition {
  /** Of the order. */
  readonly slot: number;
  readonly position: number;
}

export class ProbeWriter {
  /** What is held back at present. */
  sendFilter: SendFilter;
  readonly unsent = new UnsentLog();
  readonly #deps: ProbeWriterDeps;
  readonly #cookies: CookieMac;
  readonly #target = new Target();
  /** Whether all targets are plain, and leave by the one way out there is. */
  readonly #isPlain: boolean;
  readonly #queue: ResolutionQueue | undefined;

  constructor(deps: ProbeWriterDeps, sendFilter: SendFilter) {
    this.#deps = deps;
    this.sendFilter = sendFilter;
    this.#cookies = new CookieMac(deps.key);
    const hasNeighbours = deps.egresses.some(({ neighbours }) => neighbours !== undefined);
    const isOneWay = deps.egresses.length === 1 && deps.coversAll && !hasNeighbours;
    this.#isPlain = isOneWay && deps.plan.space.isPlain;
    this.#queue = hasNeighbours ? new ResolutionQueue() : undefined;
  }

  /** Frames that any of the ways out can take: all probes of a batch may go the same way. */
  get room(): number {
    let room = Number.POSITIVE_INFINITY;
    for (const { frameSender } of this.#deps.egresses) room = Math.min(room, frameSender.room());
    return room;
  }

  /** Whether a whole run may be written: the line takes as many as may have to wait. */
  get hasQueueRoom(): boolean {
    return this.#queue === undefined || this.#queue.room >= RUN_MAX;
  }

  /** From here on positions of this order are written, and of no other before the next call. */
  open(slot: number): void {
    this.#queue?.open(slot);
  }

  /** The first position of an order that waits; undefined where none does. */
  firstQueued(slot: number): number | undefined {
    return this.#queue?.firstOf(slot);
  }

  /** Hears who neighbours are, and asks again where that is due. @returns packets sent */
  tend(now: number, most: number): number {
    let sent = 0;
    for (const { neighbours } of this.#deps.egresses) {
      if (neighbours !== undefined) sent += neighbours.poll(now, most - sent);
    }
    this.#deps.pacer.spend(sent);
    return sent;
  }

  /** Writes the probes of those at the head of the line that are known. @returns whether any left the line */
  writeResolved(most: number, now: number): boolean {
    const queue = this.#queue;
    if (queue === undefined) return false;
    const { egresses, isAbandoned } = this.#deps;
    let taken = 0;
    for (let written = 0; written < most && queue.length > 0; taken++) {
      const { slot, position } = queue;
      const egress = egresses[queue.egress] as Egress;
      if (slot !== NO_JOB && !isAbandoned(slot)) {
        const { target } = queue;
        const found = egress.neighbours?.lookup(target, now) ?? UNREACHABLE;
        if (found === RESOLVING) break;
        if (this.#add(egress, slot, position, target, found)) written++;
      }
      queue.take();
    }
    this.#writeAll(-1);
    return taken > 0;
  }

  /** Adds a neighbour to its way out, unless it may not be probed or nobody is there. */
  #add(egress: Egress, slot: number, position: number, target: Target, mac: Found) {
    const { batch } = egress;
    batch.add(target, position);
    const code = this.sendFilter.codeFor(batch, batch.count - 1, egress.family);
    if (code === 0 && typeof mac !== 'string') {
      egress.addressTo(mac, slot);
      return true;
    }
    batch.count--;
    this.unsent.note(
      slot,
      position,
      code || (mac === NOT_SENT ? UNSENT.SEND_FAILED : UNSENT.NO_NEIGHBOUR),
    );
    return false;
  }

  /** Writes the probes of an order's positions [position, position + count) into frames. */
  write(slot: number, position: number, count: number, now: number): void {
    const { plan, egresses } = this.#deps;
    const indices = plan.permutation.run(position, count);
    const [first] = egresses;
    if (this.#isPlain && first !== undefined) {
      const { batch } = first;
      plan.space.fill(indices, count, batch.w3, batch.port);
      for (let i = 0; i < count; i++) batch.position[i] = position + i;
      batch.count = count;
    } else this.#route({ slot, position }, indices, count, now);
    this.#writeAll(slot);
  }

  /** @param slot of the order that all targets are of; −1 where the guard has looked at them */
  #writeAll(slot: number): void {
    const { egresses, wallMicros } = this.#deps;
    const stamp = wallMicros() >>> 0;
    let written = 0;
    for (const egress of egresses) {
      const { batch, family } = egress;
      if (batch.count === 0) continue;
      if (slot >= 0 && egress.neighbours === undefined) {
        this.sendFilter.filter(batch, family, (row, code) =>
          this.unsent.note(slot, batch.position[row] as number, code),
        );
      }
      egress.write(this.#cookies, stamp);
      written += egress.pending;
    }
    this.#deps.pacer.spend(written);
  }

  /** Gives the targets at the indices to the ways out that lead to them. */
  #route(first: JobPosition, indices: Float64Array, count: number, now: number): void {
    const { plan, router, egresses } = this.#deps;
    const target = this.#target;
    const { slot } = first;
    for (let i = 0; i < count; i++) {
      const position = first.position + i;
      plan.space.at(indices[i] as TargetIndex, target);
      const number = router.egressFor(target);
      const egress = egresses[number];
      if (egress === undefined) this.unsent.note(slot, position, UNSENT.UNROUTABLE);
      else if (egress.neighbours === undefined) egress.batch.add(target, position);
      else this.#wait(egress, number, { slot, position }, now);
    }
  }

  /** Puts a neighbour in the line, and asks for it where that is new; not one that may not be probed. */
  #wait(egress: Egress, number: number, at: JobPosition, now: number): void {
    const { batch, neighbours, family } = egress;
    const target = this.#target;
    batch.add(target);
    const code = this.sendFilter.codeFor(batch, --batch.count, family);
    if (code !== 0) this.unsent.note(at.slot, at.position, code);
    else {
      if (neighbours?.request(target, now)) this.#deps.pacer.spend(1);
      this.#queue?.add(at.slot, number, at.position, target);
    }
  }

  /** What was written has left. */
  commit(): void {
    this.#queue?.commit();
  }

  /**
   * What was written and has not left is taken back; what has left stays so, and is not written again.
   * @param order the one that is being walked along, if there is one, and how far
   * @returns how far it is now
   */
  withdraw(job: { readonly slot: number; readonly position: number }): number {
    const left = this.#deps.egresses.filter(({ pending }) => pending > 0);
    const isFirst = (slot: number, position: number) =>
      left.some((egress) => egress.firstSlot === slot && egress.firstPosition === position);
    const back = this.#queue?.rollBack(isFirst) ?? [];
    this.unsent.forget((slot, position) =>
      back.some((jobPosition) => jobPosition.slot === slot && jobPosition.position === position),
    );
    const ofOrder = left.filter(({ firstSlot }) => firstSlot === undefined);
    const reached = Math.min(...ofOrder.map(({ firstPosition }) => firstPosition));
    for (const egress of left) {
      egress.frameSender.discard();
      egress.pending = 0;
    }
    const { slot, position } = job;
    if (!Number.isFinite(reached)) return position;
    this.#queue?.keepBefore(slot, reached);
    this.unsent.forget((of, at) => of === slot && at >= reached);
    return reached;
  }

  /** An order is abandoned: none of its targets is probed any more. */
  drop(slot: number): void {
    this.#queue?.drop(slot);
  }
}
