/**
 * The deferred positions of one shard: targets in slowed networks, each sent at its own time by a send job of one
 * position.
 */
import { UNSENT } from '../../shared/survey/unsent.js';
import type { Sender, Sending, Unsent } from '../interfaces.js';

/** Slots of the sender that are left for other jobs. */
const SLOTS_KEPT = 640;

export class DeferredProbes {
  readonly #sender: Sender;
  /** When a position is to be sent. */
  readonly #timeFor: (position: number, now: number) => number;
  /** The positions that wait, with their times; the next one is last. */
  #waiting: { readonly position: number; readonly at: number }[] = [];
  readonly #sendings = new Map<number, Sending>();
  readonly #unsent: Unsent[] = [];
  /** The lowest position that waits or is being sent. */
  #first = Number.POSITIVE_INFINITY;
  #isAbandoned = false;

  constructor(sender: Sender, timeFor: (position: number, now: number) => number) {
    this.#sender = sender;
    this.#timeFor = timeFor;
  }

  /** The lowest position that has no probe yet; infinite if there is none. */
  get first(): number {
    return this.#first;
  }

  /** Positions that have no probe yet. */
  get size(): number {
    return this.#waiting.length + this.#sendings.size;
  }

  /** True if no position is being sent. */
  get isIdle(): boolean {
    return this.#sendings.size === 0;
  }

  /** Adds the positions that a sender has just deferred. */
  add(positions: readonly number[], now: number): void {
    if (positions.length === 0) return;
    for (const position of positions) {
      this.#waiting.push({ position, at: this.#timeFor(position, now) });
      this.#first = Math.min(this.#first, position);
    }
    this.#waiting.sort((a, b) => b.at - a.at);
  }

  /** Sends what is due, and collects what was sent. Called often. */
  advance(now: number): void {
    if (this.size === 0) return;
    for (const [position, sending] of this.#sendings) this.#collect(position, sending, now);
    for (let next = this.#waiting.at(-1); this.#isDue(next, now); next = this.#waiting.at(-1)) {
      this.#waiting.pop();
      const { position } = next as { position: number };
      this.#sendings.set(position, this.#sender.send(position, position + 1, { isDeferred: true }));
    }
    this.#first = Math.min(...this.#sendings.keys());
    for (const { position } of this.#waiting) this.#first = Math.min(this.#first, position);
  }

  /** The positions that were sent no probe, for good. */
  takeUnsent(): readonly Unsent[] {
    return this.#unsent.splice(0);
  }

  /** Starts no more probes; positions that wait keep waiting. */
  abandon(): void {
    this.#isAbandoned = true;
    for (const sending of this.#sendings.values()) sending.abandon();
  }

  /** Gives up the positions that wait: they are recorded as unsent. */
  giveUp(): void {
    for (const { position } of this.#waiting) {
      this.#unsent.push({ position, code: UNSENT.PROHIBITED });
    }
    this.#waiting = [];
    this.#first = Math.min(...this.#sendings.keys());
  }

  #isDue(next: { readonly at: number } | undefined, now: number): boolean {
    const mayStart = !this.#isAbandoned && this.#sender.freeSlots > SLOTS_KEPT;
    return next !== undefined && next.at <= now && mayStart;
  }

  #collect(position: number, sending: Sending, now: number): void {
    if (!sending.hasEnded) return;
    const isDone = sending.sentUpTo > position;
    this.#unsent.push(...sending.takeUnsent());
    this.#sendings.delete(position);
    sending.releaseSlot();
    if (!isDone) this.#waiting.push({ position, at: now });
  }
}
