/**
 * Shared memory between an agent's main thread and one sender thread: the grant, the stop flag, the progress
 * of each job, and the versions of the exclusions. Every word has one writer, and 64-bit words are aligned
 * doubles, which are never torn; so no seqlock is needed. The sender sleeps in a futex wait (`Atomics.wait`)
 * on the wake count.
 */
import type { VersionSpan } from '../../shared/survey/policy/exclusions.js';
import { SEND_ERRORS } from './send-errors.js';

/** Maximum number of jobs in progress. */
export const SLOTS = 2048;
/** Version changes kept per job until the main thread reads them; older ones are overwritten. */
const MARKS = 6;
const ORDER_SENT = 0; // every position below it was sent, or recorded as unsent
const MARK_COUNT = 1;
const PROBES = 2; // probes that the kernel has accepted
const MARKS_AT = 3;
const WORDS_PER_SLOT = MARKS_AT + 2 * MARKS;

const GRANT_RATE = 0; // packets per second
const GRANT_UNTIL = 1; // monotonic milliseconds
const REQUIRED = 2; // version that must be enforced before anything is sent
const POSTED = 3; // latest version that was posted to the sender
const ENFORCED = 4; // version that the sender enforces
const SENT = 5; // number of probes sent
const JOBS = 6; // number of jobs posted to the sender
const REFUSED = 7; // refused system calls, by `SEND_ERRORS`
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
  /** Sender: true if the required version is enforced. */
  get isFilterCurrent(): boolean {
    return this.enforcedVersion >= (this.#doubles[REQUIRED] as number);
  }
  /** The version of the exclusions that the sender enforces. */
  get enforcedVersion(): number {
    return this.#doubles[ENFORCED] as number;
  }
  set enforcedVersion(version: number) {
    this.#doubles[ENFORCED] = version;
  }
  /** The version of the exclusions that was sent to the sender. */
  get postedVersion(): number {
    return this.#doubles[POSTED] as number;
  }
  get probesSent(): number {
    return this.#doubles[SENT] as number;
  }
  /** System calls refused so far with `SEND_ERRORS[index]`. */
  sendErrorCount(index: number): number {
    return this.#doubles[REFUSED + index] as number;
  }
  get isStopped(): boolean {
    return Atomics.load(this.#flags, STOP) !== 0;
  }

  /** Main thread: grants a rate until an instant of the monotonic clock, provided that a version is enforced. */
  grant(rate: number, until: number, exclusions: number): void {
    this.#doubles[REQUIRED] = exclusions;
    // If the rate rises, the expiry is written first, otherwise the rate: so a sender that reads one old and one
    // new value stays within the previous grant or the new one.
    if (rate > this.grantRate) this.#doubles[GRANT_UNTIL] = until;
    this.#doubles[GRANT_RATE] = rate;
    this.#doubles[GRANT_UNTIL] = until;
    this.wake();
  }

  /** Main thread: records that this version of the exclusions has been sent to the sender, and wakes it. */
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

  /**
   * Sender: sleeps until it is woken, or for `millis`. The caller must read `wakeCount` before it checks for
   * work.
   */
  wait(wakeCount: number, millis: number): void {
    Atomics.wait(this.#flags, BELL, wakeCount, millis);
  }

  get wakeCount(): number {
    return Atomics.load(this.#flags, BELL);
  }

  /** Sender: counts probes of a job that the kernel has accepted. */
  addProbesSent(slot: number, probes: number): void {
    this.#doubles[SENT] = this.probesSent + probes;
    const at = HEAD_DOUBLES + slot * WORDS_PER_SLOT + PROBES;
    this.#doubles[at] = (this.#doubles[at] as number) + probes;
  }
  probesSentOf(slot: number): number {
    return this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + PROBES] as number;
  }

  /** Jobs that the main thread has posted so far. */
  get jobsPosted(): number {
    return this.#doubles[JOBS] as number;
  }

  addSendError(index: number): void {
    this.#doubles[REFUSED + index] = this.sendErrorCount(index) + 1;
  }

  /** Main thread: counts a job that was posted to the sender's port, and wakes the sender. */
  announceJob(): void {
    this.#doubles[JOBS] = this.jobsPosted + 1;
    this.wake();
  }

  /** Main thread: prepares a slot for a new job. */
  prepare(slot: number, from: number): void {
    this.setSentUpTo(slot, from);
    this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + MARK_COUNT] = 0;
    this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + PROBES] = 0;
    Atomics.store(this.#flags, FLAGS_AT + slot, 0);
  }

  /** Sender: the progress of a job. */
  setSentUpTo(slot: number, sent: number): void {
    this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + ORDER_SENT] = sent;
  }

  sentUpToOf(slot: number): number {
    return this.#doubles[HEAD_DOUBLES + slot * WORDS_PER_SLOT + ORDER_SENT] as number;
  }

  /**
   * Sender: records that, from this position on, targets of a job are checked against this version. If a job
   * resumes with the same version, no span is added, so that each of the few spans kept has a different
   * version from the one before.
   */
  addVersionSpan(slot: number, version: number, from: number): void {
    const at = HEAD_DOUBLES + slot * WORDS_PER_SLOT;
    const count = this.#doubles[at + MARK_COUNT] as number;
    const last = at + MARKS_AT + 2 * ((count - 1) % MARKS);
    if (count > 0 && this.#doubles[last] === version) return;
    const entry = at + MARKS_AT + 2 * (count % MARKS);
    this.#doubles[entry] = version;
    this.#doubles[entry + 1] = from;
    this.#doubles[at + MARK_COUNT] = count + 1;
  }

  /** The last version spans of a job, ascending. */
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
