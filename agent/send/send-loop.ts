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
import type { Egress } from '../egress/egress.js';
import type { Router } from '../egress/router.js';
import { Pacer } from './pacer.js';
import { ProbeWriter } from './probe-writer.js';
import { NO_JOB } from './resolution-queue.js';
import { SEND_ERRORS, sendErrorOf } from './send-errors.js';
import type { SendFilter } from './send-filter.js';
import type { SenderControl } from './sender-control.js';
import type { UnsentMessage } from './unsent-log.js';

/** Positions [from, to) to be sent, and where on the desk progress is noted. */
export interface SendJob {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
}

/** Which of how many senders this is. */
export interface SenderIndex {
  readonly index: number;
  readonly count: number;
}

export interface SendLoopDeps {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly egresses: readonly Egress[];
  readonly router: Router;
  /** Whether a way out leads to every target. */
  readonly coversAll: boolean;
  /** What is held back at first. */
  readonly sendFilter: SendFilter;
  /** The next version of what is held back, if there is one. */
  readonly nextFilter: () => SendFilter | undefined;
  readonly senderIndex: SenderIndex;
  readonly control: SenderControl;
  /** The next order, if there is one. */
  readonly nextJob: () => SendJob | undefined;
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
const QUEUE_POLL_MILLIS = 5;
/** What one sender takes at a time of an order that several share. */
const STRIPE = 512;

export class SendLoop {
  readonly #deps: SendLoopDeps;
  readonly #pacer: Pacer;
  readonly #writer: ProbeWriter;
  /** The order that is being walked along, and how far. */
  #job: SendJob | undefined;
  #position = 0;
  /** Positions that the current step goes on by, once all of it has left. */
  #walked = 0;
  /** Since when the kernel has taken nothing of what it might have taken. */
  #fullSince = Number.POSITIVE_INFINITY;
  /** Orders that have been walked to their end, of which some targets still wait. */
  readonly #draining = new Set<SendJob>();

  constructor(deps: SendLoopDeps) {
    this.#deps = deps;
    this.#pacer = new Pacer(deps.now());
    const isAbandoned = (slot: number) => deps.control.isAbandoned(slot);
    this.#writer = new ProbeWriter({ ...deps, pacer: this.#pacer, isAbandoned }, deps.sendFilter);
  }

  /** Until the desk says stop. */
  run(): void {
    const { control, nextJob } = this.#deps;
    while (!control.isStopped) {
      const wakeCount = control.wakeCount;
      if (this.#job === undefined) this.#startJob(nextJob());
      if (this.#job !== undefined || this.#draining.size > 0) this.#step(wakeCount);
      else {
        this.#updateFilter();
        control.wait(wakeCount, IDLE_MILLIS);
      }
    }
    this.#endAll();
    for (let job = nextJob(); job !== undefined; job = nextJob()) control.end(job.slot);
  }

  /** Sends our stretches of one order to its end, or until it is abandoned. */
  send(job: SendJob): void {
    const { control } = this.#deps;
    this.#startJob(job);
    while ((this.#job !== undefined || this.#draining.size > 0) && !control.isStopped) {
      this.#step(control.wakeCount);
    }
    this.#endAll();
  }

  #startJob(job: SendJob | undefined): void {
    if (job === undefined) return;
    const { control } = this.#deps;
    this.#job = job;
    this.#position = this.#nextOurs(job.from);
    this.#writer.open(job.slot);
    control.setSentUpTo(job.slot, Math.min(this.#position, job.to));
    control.addVersionSpan(job.slot, this.#writer.sendFilter.version, job.from);
  }

  /** Sends some more, or waits until it may. @param heard the desk's bell before anything was looked at */
  #step(wakeCount: number): void {
    const { control, now } = this.#deps;
    const job = this.#job;
    if (this.#updateFilter() && job !== undefined) {
      control.addVersionSpan(job.slot, this.#writer.sendFilter.version, this.#position);
    }
    if (job !== undefined && control.isAbandoned(job.slot)) {
      this.#job = undefined;
      this.#draining.add(job);
    }
    const instant = now();
    const rate = instant < control.grantUntil && control.isFilterCurrent ? control.grantRate : 0;
    const allowance = this.#pacer.allowance(instant, rate);
    if (allowance === 0) {
      control.wait(wakeCount, this.#pacer.pause(rate));
      this.#reportProgress(); // what is abandoned ends also while nothing may be sent
      return;
    }
    const { room } = this.#writer;
    if (room === 0) {
      control.addSendError(sendErrorOf(ENOBUFS));
      control.wait(wakeCount, FULL_MILLIS);
      return;
    }
    const most = Math.min(allowance, room, RUN_MAX);
    const spent = this.#writer.tend(instant, most);
    if (spent >= most) return;
    const fromLine = this.#writer.writeResolved(most - spent, instant);
    const isIdle = !fromLine && !this.#writeNext(most - spent, instant);
    if (isIdle) control.wait(wakeCount, QUEUE_POLL_MILLIS);
    else this.#dispatch();
    this.#reportProgress();
  }

  /** Goes on along the order. @returns whether there was anything to go on with */
  #writeNext(most: number, now: number): boolean {
    const job = this.#job;
    if (job === undefined || !this.#writer.hasQueueRoom) return false;
    const ours = this.#stretchEnd(this.#position, job.to) - this.#position;
    const count = Math.min(most, ours);
    if (count > 0) this.#writer.write(job.slot, this.#position, count, now);
    this.#walked = Math.max(0, count);
    return true;
  }

  /** Hands what is written to the kernel; what may not leave any more is written anew once it may. */
  #dispatch(): void {
    const hasLeft = this.#sendAll();
    const job = this.#job;
    const at = { slot: job?.slot ?? NO_JOB, position: this.#position };
    if (hasLeft) this.#writer.commit();
    else this.#position = this.#writer.withdraw(at);
    const walked = this.#walked;
    this.#walked = 0;
    if (!hasLeft || job === undefined) return;
    this.#position = this.#nextOurs(this.#position + walked);
    if (this.#position < job.to) return;
    this.#job = undefined;
    this.#draining.add(job);
  }

  /** Tells how far orders have come; first what was passed by on the way. */
  #reportProgress(): void {
    const { control, onUnsent } = this.#deps;
    const { unsent } = this.#writer;
    if (unsent.length > 0) for (const message of unsent.take()) onUnsent(message);
    const job = this.#job;
    if (job !== undefined) {
      const waiting = this.#writer.firstQueued(job.slot);
      control.setSentUpTo(job.slot, Math.min(waiting ?? this.#position, job.to));
    }
    for (const tail of this.#draining) {
      const waiting = this.#writer.firstQueued(tail.slot);
      const isAbandoned = control.isAbandoned(tail.slot);
      if (!isAbandoned) control.setSentUpTo(tail.slot, waiting ?? tail.to);
      if (!isAbandoned && waiting !== undefined) continue;
      if (isAbandoned) this.#writer.drop(tail.slot);
      control.end(tail.slot);
      this.#draining.delete(tail);
    }
  }

  #endAll(): void {
    const { control } = this.#deps;
    if (this.#job !== undefined) this.#draining.add(this.#job);
    for (const { slot } of this.#draining) control.end(slot);
    this.#job = undefined;
    this.#draining.clear();
  }

  /** Takes the latest version of what is held back; costs one look at the desk where there is none. */
  #updateFilter(): boolean {
    const { control, nextFilter } = this.#deps;
    const before = this.#writer.sendFilter;
    if (control.postedVersion === before.version) return false;
    for (let next = nextFilter(); next !== undefined; next = nextFilter())
      this.#writer.sendFilter = next;
    control.enforcedVersion = this.#writer.sendFilter.version;
    return this.#writer.sendFilter !== before;
  }

  /** Hands what is written to the kernel; false where the rest of it may not leave any more. */
  #sendAll(): boolean {
    for (const egress of this.#deps.egresses) {
      if (egress.pending > 0 && !this.#sendFrames(egress)) return false;
    }
    return true;
  }

  /** Hands frames to the kernel until it has them all; false where the rest may not leave any more. */
  #sendFrames(egress: Egress): boolean {
    const { control, now } = this.#deps;
    const { frameSender } = egress;
    let attempts = 0;
    while (egress.pending > 0) {
      const taken = frameSender.send(egress.pending);
      egress.pending -= taken;
      if (taken > 0) {
        control.addProbesSent(taken);
        attempts = 0;
        this.#fullSince = Number.POSITIVE_INFINITY;
        continue;
      }
      const wakeCount = control.wakeCount;
      const sendError = sendErrorOf(frameSender.errno);
      control.addSendError(sendError);
      if (!this.#maySend) {
        this.#fullSince = Number.POSITIVE_INFINITY;
        return false;
      }
      const { pauseMillis = 0, isDown, unsent = UNSENT.SEND_FAILED } = SEND_ERRORS[sendError] ?? {};
      this.#fullSince = isDown ? Number.POSITIVE_INFINITY : Math.min(this.#fullSince, now());
      const isStuck = now() - this.#fullSince >= STUCK_MILLIS;
      if (pauseMillis > 0 && !isStuck) control.wait(wakeCount, pauseMillis);
      else if (++attempts >= LIMITS.sendTries) {
        this.#writer.unsent.note(
          egress.firstSlot ?? this.#job?.slot ?? 0,
          egress.firstPosition,
          unsent,
        );
        egress.dropFirst();
        attempts = 0;
      }
    }
    return true;
  }

  /** Whether what has been written may still leave: the kernel may have kept us waiting for long. */
  get #maySend(): boolean {
    const { control, now } = this.#deps;
    const isLeft = this.#job !== undefined && control.isAbandoned(this.#job.slot);
    if (control.isStopped || isLeft || !control.isFilterCurrent) return false;
    const isLent = control.grantRate > 0 && now() < control.grantUntil;
    return isLent && control.postedVersion === this.#writer.sendFilter.version;
  }

  /** The first position from `position` on that is in a stretch of ours. */
  #nextOurs(position: number): number {
    const { index, count } = this.#deps.senderIndex;
    if (count === 1) return position;
    const stretch = Math.floor(position / STRIPE);
    const ahead = (index - (stretch % count) + count) % count;
    return ahead === 0 ? position : (stretch + ahead) * STRIPE;
  }

  #stretchEnd(position: number, to: number): number {
    if (this.#deps.senderIndex.count === 1) return to;
    return Math.min(to, (Math.floor(position / STRIPE) + 1) * STRIPE);
  }
}
