/**
 * The hot path of sending: walks the positions of send jobs and writes their probes to the kernel at the
 * paced rate. Runs in its own thread, without promises or allocation; grants, jobs and progress are in the
 * shared `SenderControl`. A probe counts as sent once the kernel accepted it.
 *
 * If several senders share a job, each takes every n-th stripe of it, so that they advance through the job
 * together. Shards and positions do not depend on the number of senders.
 *
 * Targets on the link wait in the resolution queue until they are resolved; other targets, and other jobs,
 * continue meanwhile.
 */
import { LIMITS } from '../../shared/base/limits.js';
import { RUN_MAX } from '../../shared/permutation/permutation.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import type { Egress } from '../egress/egress.js';
import { JobQueue } from './jobs/job-queue.js';
import type { SendJob } from './jobs/send-job.js';
import { Pacer } from './pacer.js';
import { ProbeWriter, type ProbeWriterDeps } from './probe-writer.js';
import { NO_JOB } from './resolution-queue.js';
import { SEND_ERRORS, sendErrorOf } from './send-errors.js';
import type { SendFilter } from './send-filter.js';
import type { SenderControl } from './sender-control.js';
import { type SenderIndex, Stripes } from './stripes.js';
import type { UnsentMessage } from './unsent-log.js';

export interface SendLoopDeps extends Omit<ProbeWriterDeps, 'pacer' | 'isAbandoned'> {
  /** The first send filter. */
  readonly sendFilter: SendFilter;
  /** The next send filter, if there is one. */
  readonly nextFilter: () => SendFilter | undefined;
  readonly senderIndex: SenderIndex;
  readonly control: SenderControl;
  /** The next job, if there is one. */
  readonly nextJob: () => SendJob | undefined;
  /** Called with unsent positions, before `setSentUpTo` reports progress beyond them. */
  readonly onUnsent: (message: UnsentMessage) => void;
  /** Monotonic milliseconds, the clock of the grants. */
  readonly now: () => number;
}

const IDLE_MILLIS = 100;
const ENOBUFS = 105;
const FULL_MILLIS = 1;
/** A queue that accepts nothing for this long is stuck: a firewall may drop all frames. */
const STUCK_MILLIS = 5000;
/** Polling interval while all queued targets are being resolved. */
const QUEUE_POLL_MILLIS = 5;

export class SendLoop {
  readonly #deps: SendLoopDeps;
  readonly #pacer: Pacer;
  readonly #writer: ProbeWriter;
  /** The current job, and the next position in it. */
  #job: SendJob | undefined;
  #position = 0;
  /** Number of positions written in this step: `#position` advances by it once all frames were sent. */
  #walked = 0;
  /** The time from which on the kernel has accepted nothing; infinite while it accepts frames. */
  #fullSince = Number.POSITIVE_INFINITY;
  readonly #queue: JobQueue;
  readonly #stripes: Stripes;
  /** Jobs that were written or abandoned, but have not ended, because some targets may still be queued. */
  readonly #draining = new Set<SendJob>();

  constructor(deps: SendLoopDeps) {
    this.#deps = deps;
    this.#pacer = new Pacer(deps.now());
    this.#queue = new JobQueue(deps.control, deps.nextJob);
    this.#stripes = new Stripes(deps.senderIndex);
    const isAbandoned = (slot: number) => deps.control.isAbandoned(slot);
    this.#writer = new ProbeWriter({ ...deps, pacer: this.#pacer, isAbandoned }, deps.sendFilter);
  }

  /** Runs until the control says stop. */
  run(): void {
    const { control } = this.#deps;
    while (!control.isStopped) {
      const wakeCount = control.wakeCount;
      this.#queue.update();
      if (this.#job === undefined) this.#startNext();
      if (this.#job !== undefined || this.#draining.size > 0) this.#step(wakeCount);
      else {
        this.#updateFilter();
        control.wait(wakeCount, IDLE_MILLIS);
      }
    }
    this.#endAll();
  }

  /** Sends this sender's stripes of one job to its end, or until it is abandoned. */
  send(job: SendJob): void {
    const { control } = this.#deps;
    this.#startJob(job);
    while ((this.#job !== undefined || this.#draining.size > 0) && !control.isStopped) {
      this.#step(control.wakeCount);
    }
    this.#endAll();
  }

  #startNext(): void {
    const next = this.#queue.next();
    if (next?.position === undefined) {
      this.#startJob(next?.job);
      return;
    }
    const { job, position } = next;
    this.#job = job;
    this.#position = position;
    this.#deps.control.addVersionSpan(job.slot, this.#writer.sendFilter.version, position);
  }

  /** Interrupts a first round for jobs that go before it; never if targets may have to be resolved on the link. */
  #interrupt(): void {
    const job = this.#job;
    if (job === undefined || !this.#queue.shouldInterrupt(job) || this.#writer.hasQueue) return;
    this.#queue.interrupt(job, this.#position);
    this.#startNext();
  }

  #startJob(job: SendJob | undefined): void {
    if (job === undefined) return;
    const { control } = this.#deps;
    this.#job = job;
    this.#position = this.#stripes.nextOurs(job.from);
    this.#writer.open(job);
    control.setSentUpTo(job.slot, Math.min(this.#position, job.to));
    control.addVersionSpan(job.slot, this.#writer.sendFilter.version, job.from);
  }

  /** Sends a batch, or waits until it may. @param wakeCount read from the control before anything else */
  #step(wakeCount: number): void {
    const { control, now } = this.#deps;
    this.#queue.update();
    this.#interrupt();
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
      this.#reportProgress(); // abandoned jobs end even while nothing may be sent
      return;
    }
    const { room } = this.#writer;
    if (room === 0) {
      control.addSendError(sendErrorOf(ENOBUFS));
      control.wait(wakeCount, FULL_MILLIS);
      return;
    }
    const most = Math.min(allowance, room, RUN_MAX);
    const spent = this.#writer.pollNeighbours(instant, most);
    if (spent >= most) return;
    const fromLine = this.#writer.writeResolved(most - spent, instant);
    const isIdle = !fromLine && !this.#writeNext(most - spent, instant);
    if (isIdle) control.wait(wakeCount, QUEUE_POLL_MILLIS);
    else this.#dispatch();
    this.#reportProgress();
  }

  /** Continues the current job. @returns true if there was anything to do */
  #writeNext(most: number, now: number): boolean {
    const job = this.#job;
    if (job === undefined || !this.#writer.hasQueueRoom) return false;
    const ours = this.#stripes.endOf(this.#position, job.to) - this.#position;
    const count = Math.min(most, ours);
    if (count > 0) this.#writer.write(job, this.#position, count, now);
    this.#walked = Math.max(0, count);
    return true;
  }

  /** Sends written frames; those that may no longer be sent are withdrawn, and written again later. */
  #dispatch(): void {
    const hasLeft = this.#sendAll();
    const job = this.#job;
    const at = { slot: job?.slot ?? NO_JOB, position: this.#position };
    if (hasLeft) this.#writer.commit();
    else this.#position = this.#writer.withdraw(at);
    const walked = this.#walked;
    this.#walked = 0;
    if (!hasLeft || job === undefined) return;
    this.#position = this.#stripes.nextOurs(this.#position + walked);
    if (this.#position < job.to) return;
    this.#job = undefined;
    this.#draining.add(job);
  }

  /** Reports the unsent positions of jobs, and then their progress. */
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
    const current = this.#job === undefined ? [] : [this.#job];
    for (const { slot } of [...current, ...this.#draining, ...this.#queue.clear()])
      control.end(slot);
    this.#job = undefined;
    this.#draining.clear();
  }

  /** Adopts the latest send filter; costs one read of the control if there is no new one. */
  #updateFilter(): boolean {
    const { control, nextFilter } = this.#deps;
    const before = this.#writer.sendFilter;
    if (control.postedVersion === before.version) return false;
    for (let next = nextFilter(); next !== undefined; next = nextFilter())
      this.#writer.sendFilter = next;
    control.enforcedVersion = this.#writer.sendFilter.version;
    return this.#writer.sendFilter !== before;
  }

  /** Sends pending frames; returns false if the grant lapsed before all were sent. */
  #sendAll(): boolean {
    for (const egress of this.#deps.egresses) {
      if (egress.pending > 0 && !this.#sendFrames(egress)) return false;
    }
    return true;
  }

  /** Sends the pending frames of one egress; returns false if the grant lapsed before all were sent. */
  #sendFrames(egress: Egress): boolean {
    const { control, now } = this.#deps;
    const { frameSender } = egress;
    let attempts = 0;
    while (egress.pending > 0) {
      const taken = frameSender.send(egress.pending);
      if (taken > 0) {
        this.#countSent(egress, taken);
        egress.pending -= taken;
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

  /** Counts accepted frames by job; if targets are on the link, a batch may contain frames of several jobs. */
  #countSent(egress: Egress, taken: number): void {
    const { control } = this.#deps;
    if (egress.neighbours === undefined) control.addProbesSent(this.#job?.slot ?? 0, taken);
    else for (let i = 0; i < taken; i++) control.addProbesSent(egress.slotOfPending(i), 1);
  }

  /** True if written frames may still be sent; checked again, as the kernel may have stalled us for long. */
  get #maySend(): boolean {
    const { control, now } = this.#deps;
    const isLeft = this.#job !== undefined && control.isAbandoned(this.#job.slot);
    if (control.isStopped || isLeft || !control.isFilterCurrent) return false;
    const isGranted = control.grantRate > 0 && now() < control.grantUntil;
    return isGranted && control.postedVersion === this.#writer.sendFilter.version;
  }
}
