/**
 * Memory shared between an agent's main thread and one sender's: the grant, the stop flag, how far
 * each shard has been sent, and under which version of the exclusions. Every word has one writer.
 * 64-bit words are plain doubles: aligned, so they are never seen half-written.
 */
import type { ExclusionMark } from '../../shared/survey/exclusions.js';
import { REFUSALS } from './refusal.js';

/** Orders that may be known to the sender at once. */
export const SLOTS = 1024;
/** Changes of the exclusions that are kept while an order is sent and nobody looks. */
const MARKS = 6;
const ORDER_SENT = 0; // every position before it has left, or was passed by
const MARK_COUNT = 1;
const MARKS_AT = 2;
const WORDS_PER_SLOT = MARKS_AT + 2 * MARKS;

const GRANT_RATE = 0; // packets per second
const GRANT_UNTIL = 1; // monotonic milliseconds
const REQUIRED = 2; // version of the exclusions, before anything leaves
const POSTED = 3; // version that is waiting for the sender, or that it has taken
const GUARDED = 4; // version that the sender holds targets against
const SENT = 5; // probes that left
const REFUSED = 6; // system calls refused, by `REFUSALS`
const HEAD_DOUBLES = REFUSED + REFUSALS.length;

const BELL = 0;
const STOP = 1;
const FLAGS_AT = 2;
const ABANDONED = 1;
const ENDED = 2;

export class Desk {
  readonly memory: SharedArrayBuffer;
  readonly #doubles: Float64Array;
  readonly #flags: Int32Array;

  constructor(memory?: SharedArrayBuffer) {
    const doubles = HEAD_DOUBLES + SLOTS * WORDS_PER_SLOT;
    const flags = FLAGS_AT + SLOTS;
    this.memory = memory ?? new SharedArrayBuffer(doubles * 8 + flags * 4);
    this.#doubles = new Float64Array(this.memory, 0, doubles);
    this.#flags = new Int32Array(this.memory, doubles * 8, flags);
  }

  get grantRate(): number {
    return this.#doubles[GRANT_RATE] as number;
  }
  get grantUntil(): number {
    return this.#doubles[GRANT_UNTIL] as number;
  }
  /** Sender: whether it may send at all as far as exclusions go. */
  get isGuarded(): boolean {
    return this.guarded >= (this.#doubles[REQUIRED] as number);
  }
  /** Version of the exclusions that the sender holds targets against. */
  get guarded(): number {
    return this.#doubles[GUARDED] as number;
  }
  set guarded(version: number) {
    this.#doubles[GUARDED] = version;
  }
  /** Version of the exclusions that the sender has been sent. */
  get posted(): number {
    return this.#doubles[POSTED] as number;
  }
  get sentTotal(): number {
    return this.#doubles[SENT] as number;
  }
  /** System calls refused so far with `REFUSALS[index]`. */
  refused(index: number): number {
    return this.#doubles[REFUSED + index] as number;
  }
  get isStopped(): boolean {
    return Atomics.load(this.#flags, STOP) !== 0;
  }

  /** Main thread: lends a rate until an instant of the monotonic clock, to one who is guarded. */
  grant(rate: number, until: number, exclusions: number): void {
    this.#doubles[REQUIRED] = exclusions;
    // A longer term is set last and a shorter one first, so that no mix of the two exceeds either.
    if (rate > this.grantRate) this.#doubles[GRANT_UNTIL] = until;
    this.#doubles[GRANT_RATE] = rate;
    this.#doubles[GRANT_UNTIL] = until;
    this.ring();
  }

  /** Main thread: a version of the exclusions is on its way to the sender. */
  post(version: number): void {
    this.#doubles[POSTED] = version;
    this.ring();
  }

  stop(): void {
    Atomics.store(this.#flags, STOP, 1);
    this.ring();
  }

  /** Wakes the sender. */
  ring(): void {
    Atomics.add(this.#flags, BELL, 1);
    Atomics.notify(this.#flags, BELL);
  }

  /** Sender: sleeps until the bell or for `millis`. `heard` is the bell's count before looking. */
  wait(heard: number, millis: number): void {
    Atomics.wait(this.#flags, BELL, heard, millis);
  }

  get bell(): number {
    return Atomics.load(this.#flags, BELL);
  }

  addSent(probes: number): void {
    this.#doubles[SENT] = this.sentTotal + probes;
  }

  addRefused(index: number): void {
    this.#doubles[REFUSED + index] = this.refused(index) + 1;
  }

  /** Main thread: makes a slot ready for a new order. */
  prepare(slot: number, from: number): void {
    this.setSent(slot, from);
    this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + MARK_COUNT] = 0;
    Atomics.store(this.#flags, FLAGS_AT + slot, 0);
  }

  /** Sender: how far an order is. */
  setSent(slot: number, sent: number): void {
    this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + ORDER_SENT] = sent;
  }

  sentOf(slot: number): number {
    return this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + ORDER_SENT] as number;
  }

  /** Sender: from a position on, targets of an order are held against this version. */
  mark(slot: number, version: number, from: number): void {
    const at = HEAD_DOUBLES + slot * WORDS_PER_SLOT;
    const count = this.#doubles[at + MARK_COUNT] as number;
    const place = at + MARKS_AT + 2 * (count % MARKS);
    this.#doubles[place] = version;
    this.#doubles[place + 1] = from;
    this.#doubles[at + MARK_COUNT] = count + 1;
  }

  /** The last marks of an order, ascending. */
  marksOf(slot: number): readonly ExclusionMark[] {
    const at = HEAD_DOUBLES + slot * WORDS_PER_SLOT;
    const count = this.#doubles[at + MARK_COUNT] as number;
    const marks: ExclusionMark[] = [];
    for (let n = Math.max(0, count - MARKS); n < count; n++) {
      const place = at + MARKS_AT + 2 * (n % MARKS);
      const [version, from] = [this.#doubles[place], this.#doubles[place + 1]];
      marks.push({ version: version as number, from: from as number });
    }
    return marks;
  }

  abandon(slot: number): void {
    Atomics.or(this.#flags, FLAGS_AT + slot, ABANDONED);
    this.ring();
  }
  isAbandoned(slot: number): boolean {
    return (Atomics.load(this.#flags, FLAGS_AT + slot) & ABANDONED) !== 0;
  }
  end(slot: number): void {
    Atomics.or(this.#flags, FLAGS_AT + slot, ENDED);
  }
  hasEnded(slot: number): boolean {
    return (Atomics.load(this.#flags, FLAGS_AT + slot) & ENDED) !== 0;
  }
}
