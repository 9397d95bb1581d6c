/**
 * Sends two kinds of probes from the main thread, at the granted rate: connections that the kernel makes, and
 * requests to neighbours. Subclasses send one probe at a time, and report its outcome.
 */
import type { Clock } from '../../shared/base/clock.js';
import type { Endpoint, Target } from '../../shared/net/endpoint.js';
import { ProbeBatch } from '../../shared/probe/probe-batch.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { AddressLists } from '../../shared/survey/policy/address-lists.js';
import type { ReceiveOutcome, Sender, Sending, SendMode } from '../interfaces.js';
import { Pacer } from '../send/pacer.js';
import { SendFilter, type SendFilterLists } from '../send/send-filter.js';
import { DirectJob } from './direct-job.js';

/** Longest pause between two rounds of sending. */
export const IDLE_MILLIS = 20;

export interface DirectSenderDeps {
  readonly plan: Plan;
  readonly clock: Clock;
  /** The first send filter. */
  readonly blocked: SendFilterLists;
}

export abstract class DirectSender implements Sender {
  abstract readonly transmit: string;
  readonly totals = { probesSent: 0, sendErrors: {} as Record<string, number> };
  /** Called with each outcome. */
  onOutcome: ReceiveOutcome = () => {};
  protected readonly plan: Plan;
  protected readonly clock: Clock;
  readonly #pacer: Pacer;
  readonly #blocked: SendFilterLists;
  #filter: SendFilter;
  #grant = { rate: 0, until: 0, exclusionsVersion: 0 };
  readonly #first: DirectJob[] = [];
  readonly #urgent: DirectJob[] = [];
  readonly #batch = new ProbeBatch(1);
  #isClosed = false;
  readonly #pumping: Promise<void>;

  constructor({ plan, clock, blocked }: DirectSenderDeps) {
    this.plan = plan;
    this.clock = clock;
    this.#blocked = blocked;
    this.#pacer = new Pacer(clock.monotonic());
    this.#filter = new SendFilter(blocked);
    // Starts sending only after this constructor has returned, because the fields of subclasses are not
    // set before that.
    this.#pumping = Promise.resolve().then(() => this.#pump());
  }

  get exclusionsVersion(): number {
    return this.#filter.version;
  }

  get freeSlots(): number {
    return Number.POSITIVE_INFINITY;
  }

  send(from: number, to: number, { known, isDeferred }: SendMode): Sending {
    const job = new DirectJob(from, to, known);
    job.addVersion(this.#filter.version);
    (known === undefined && isDeferred !== true ? this.#first : this.#urgent).push(job);
    return job;
  }

  grant(rate: number, until: number, exclusionsVersion: number): void {
    this.#grant = { rate, until, exclusionsVersion };
  }

  /** Does nothing: no network is ever slowed, because we cannot read ICMP errors about direct probes. */
  slowDown(_address: Endpoint): void {}

  setExclusions(excluded: AddressLists, version: number): void {
    this.#filter = new SendFilter({ version, excluded, own: this.#blocked.own });
    for (const job of this.#first) job.addVersion(version);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const job of [...this.#first, ...this.#urgent]) job.abandon();
    await this.#pumping;
  }

  /** Probes one target; reports to the job how that went. */
  protected abstract try(job: DirectJob, position: number, target: Target): void;

  /** True if another probe may be in progress. */
  protected get hasRoom(): boolean {
    return true;
  }

  /** Called often, before sending. @param isHalted true if there are probes to send that may not be sent now */
  protected abstract beforeSending(now: number, isHalted: boolean): void;

  /** The reason why a position must not be probed; 0 if there is none. */
  protected blockOf(position: number): number {
    const target = this.plan.targetAt(position);
    this.#batch.count = 0;
    this.#batch.add(target, position);
    return this.#filter.codeFor(this.#batch, 0, target.isIpv4 ? 4 : 6);
  }

  async #pump(): Promise<void> {
    const { clock } = this;
    while (!this.#isClosed) {
      const now = clock.monotonic();
      const { until, exclusionsVersion } = this.#grant;
      const maySend = now < until && this.#filter.version >= exclusionsVersion;
      const rate = maySend ? this.#grant.rate : 0;
      this.beforeSending(now, rate === 0 && this.#hasWork);
      let allowance = this.#pacer.allowance(now, rate);
      while (allowance > 0 && this.hasRoom && this.#tryNext(now)) {
        allowance--;
        this.#pacer.spend(1);
      }
      await clock.sleep(rate === 0 ? IDLE_MILLIS : Math.min(IDLE_MILLIS, this.#pacer.pause(rate)));
    }
  }

  /**
   * False once everything is sent; the rate may then be 0 because no grant is needed while late replies are
   * awaited.
   */
  get #hasWork(): boolean {
    return [...this.#first, ...this.#urgent].some(({ hasEnded }) => !hasEnded);
  }

  /** Tries the next position; repeats go first. @returns false if none is due */
  #tryNext(now: number): boolean {
    for (const jobs of [this.#urgent, this.#first]) {
      for (;;) {
        const [job] = jobs;
        if (job === undefined) break;
        const position = job.hasEnded ? undefined : job.take(now);
        if (position !== undefined) {
          const code = this.blockOf(position);
          if (code !== 0) job.onUnsent(position, code);
          else this.try(job, position, this.plan.targetAt(position));
          return true;
        }
        if (!job.hasEnded) break;
        jobs.shift();
      }
    }
    return false;
  }
}
