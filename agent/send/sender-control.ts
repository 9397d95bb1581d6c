/**
 * Memory shared between an agent's main thread and one sender's: the grant, the stop flag, how far
 * each shard has been sent, and under which version of the exclusions. Every word has one writer.
 * 64-bit words are plain doubles: aligned, so they are never seen half-written.
 */
import type { VersionSpan } from '../../shared/survey/policy/exclusions.js';
import { SEND_ERRORS } from './send-errors.js';

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
const HEAD_DOUBLES = REFUSED + SEND_ERRORS.length;

const BELL = 0;
const STOP = 1;
const FLAGS_AT = 2;
const ABANDONED = 1;
const ENDED = 2;

export class SenderControl {
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
  get isFilterCurrent(): boolean {
    return this.enforcedVersion >= (this.#doubles[REQUIRED] as number);
  }
  /** Version of the exclusions that the sender holds targets against. */
  get enforcedVersion(): number {
    return this.#doubles[GUARDED] as number;
  }
  set enforcedVersion(version: number) {
    this.#doubles[GUARDED] = version;
  }
  /** Version of the exclusions that the sender has been sent. */
  get postedVersion(): number {
    return this.#doubles[POSTED] as number;
  }
  get probesSent(): number {
    return this.#doubles[SENT] as number;
  }
  /** System calls refused so far with `REFUSALS[index]`. */
  sendErrorCount(index: number): number {
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
    this.wake();
  }

  /** Main thread: a version of the exclusions is on its way to the sender. */
  postVersion(version: number): void {
    this.#doubles[POSTED] = version;
    this.wake();
  }

  stop(): void {
    Atomics.store(this.#flags, STOP, 1);
    this.wake();
  }

  /** Wakes the sender. */
  wake(): void {
    Atomics.add(this.#flags, BELL, 1);
    Atomics.notify(this.#flags, BELL);
  }

  /** Sender: sleeps until the bell or for `millis`. `heard` is the bell's count before looking. */
  wait(wakeCount: number, millis: number): void {
    Atomics.wait(this.#flags, BELL, wakeCount, millis);
  }

  get wakeCount(): number {
    return Atomics.load(this.#flags, BELL);
  }

  addProbesSent(probes: number): void {
    this.#doubles[SENT] = this.probesSent + probes;
  }

  addSendError(index: number): void {
    this.#doubles[REFUSED + index] = this.sendErrorCount(index) + 1;
  }

  /** Main thread: makes a slot ready for a new order. */
  prepare(slot: number, from: number): void {
    this.setSentUpTo(slot, from);
    this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + MARK_COUNT] = 0;
    Atomics.store(this.#flags, FLAGS_AT + slot, 0);
  }

  /** Sender: how far an order is. */
  setSentUpTo(slot: number, sent: number): void {
    this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + ORDER_SENT] = sent;
  }

  sentUpToOf(slot: number): number {
    return this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + ORDER_SENT] as number;
  }

  /** Sender: from a position on, targets of an order are held against this version. */
  addVersionSpan(slot: number, version: number, from: number): void {
    const at = HEAD_DOUBLES + slot * WORDS_PER_SLOT;
    const count = this.#doubles[at + MARK_COUNT] as number;
    const entry = at + MARKS_AT + 2 * (count % MARKS);
    this.#doubles[entry] = version;
    this.#doubles[entry + 1] = from;
    this.#doubles[at + MARK_COUNT] = count + 1;
  }

  /** The last marks of an order, ascending. */
  versionSpansOf(slot: number): readonly VersionSpan[] {
    const at = HEAD_DOUBLES + slot * WORDS_PER_SLOT;
    const count = this.#doubles[at + MARK_COUNT] as number;
    const versionSpans: VersionSpan[] = [];
    for (let n = Math.max(0, count - MARKS); n < count; n++) {
      const entry = at + MARKS_AT + 2 * (n % MARKS);
      const [version, from] = [this.#doubles[entry], this.#doubles[entry + 1]];
      versionSpans.push({ version: version as number, from: from as number });
    }
    return versionSpans;
  }

  abandon(slot: number): void {
    Atomics.or(this.#flags, FLAGS_AT + slot, ABANDONED);
    this.wake();
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
