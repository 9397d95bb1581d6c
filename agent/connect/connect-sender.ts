/**
 * Sends probes as connections of the kernel, from the main thread: at the granted rate, and at most so many at
 * once. A connection that is open is reset; one that is neither open nor refused within the cooldown is silent.
 */
import { connect, type Socket } from 'node:net';
import type { Clock } from '../../shared/base/clock.js';
import { parseIpv4 } from '../../shared/net/address.js';
import { Endpoint, type Target } from '../../shared/net/endpoint.js';
import { formatAddress, mappedWords, parseWords } from '../../shared/net/ipv6.js';
import type { Family } from '../../shared/probe/probe.js';
import { ProbeBatch } from '../../shared/probe/probe-batch.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { AddressLists } from '../../shared/survey/policy/address-lists.js';
import type { ReceiveOutcome, Sender, Sending, SendMode } from '../interfaces.js';
import { Pacer } from '../send/pacer.js';
import { SendFilter, type SendFilterLists } from '../send/send-filter.js';
import { verdictOn } from './connect-faults.js';
import { ConnectJob } from './connect-job.js';

/** Index of the class of an open connection in the list of `tcp-connect`. */
const CONNECTED = 0;
const IDLE_MILLIS = 20;
/** The time after which the kernel repeats a SYN for the first time (RFC 6298 §2.1). */
const SYN_REPEAT_MILLIS = 1000;

/** Our source addresses; the kernel chooses where there is none. */
export type ConnectSources = Readonly<Partial<Record<Family, string>>>;

export interface ConnectSenderDeps {
  readonly plan: Plan;
  readonly clock: Clock;
  /** The first send filter. */
  readonly blocked: SendFilterLists;
  /** Milliseconds after which a connection counts as silent. */
  readonly timeout: number;
  /** Connections in progress at once. */
  readonly socketsMax: number;
  readonly sources: ConnectSources;
}

/** A connection in progress. */
interface Attempt {
  readonly job: ConnectJob;
  readonly position: number;
  readonly socket: Socket;
  readonly startedAt: number;
  /** True until it is known how connect(2) ended. */
  isImmediate: boolean;
}

export class ConnectSender implements Sender {
  readonly transmit = 'connect';
  readonly totals = { probesSent: 0, sendErrors: {} as Record<string, number> };
  /** Called with each outcome. */
  onOutcome: ReceiveOutcome = () => {};
  readonly #deps: ConnectSenderDeps;
  readonly #pacer: Pacer;
  #filter: SendFilter;
  #grant = { rate: 0, until: 0, exclusionsVersion: 0 };
  readonly #first: ConnectJob[] = [];
  readonly #repeats: ConnectJob[] = [];
  readonly #attempts = new Set<Attempt>();
  readonly #batch = new ProbeBatch(1);
  #isClosed = false;
  readonly #pumping: Promise<void>;

  constructor(deps: ConnectSenderDeps) {
    this.#deps = deps;
    this.#pacer = new Pacer(deps.clock.monotonic());
    this.#filter = new SendFilter(deps.blocked);
    this.#pumping = this.#pump();
  }

  get exclusionsVersion(): number {
    return this.#filter.version;
  }

  get freeSlots(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** The kernel does not report why a target is unreachable, so no network is ever slowed. */
  slowDown(): void {}

  send(from: number, to: number, { known }: SendMode = {}): Sending {
    const job = new ConnectJob(from, to, known);
    job.addVersion(this.#filter.version);
    (known === undefined ? this.#first : this.#repeats).push(job);
    return job;
  }

  grant(rate: number, until: number, exclusionsVersion: number): void {
    this.#grant = { rate, until, exclusionsVersion };
  }

  setExclusions(excluded: AddressLists, version: number): void {
    this.#filter = new SendFilter({ version, excluded, own: this.#deps.blocked.own });
    // The kernel repeats SYNs, which must not reach a target that is excluded now.
    for (const { position, socket } of this.#attempts) {
      if (this.#blockOf(position) !== 0) socket.destroy();
    }
    for (const job of this.#first) job.addVersion(version);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { socket } of this.#attempts) socket.destroy();
    for (const job of [...this.#first, ...this.#repeats]) job.abandon();
    await this.#pumping;
  }

  async #pump(): Promise<void> {
    const { clock, socketsMax } = this.#deps;
    while (!this.#isClosed) {
      const now = clock.monotonic();
      this.#endOverdue(now);
      const { until, exclusionsVersion } = this.#grant;
      const mayTry = now < until && this.#filter.version >= exclusionsVersion;
      const rate = mayTry ? this.#grant.rate : 0;
      if (rate === 0 && this.#hasWork) this.#endBeforeRepeats(now);
      let allowance = this.#pacer.allowance(now, rate);
      while (allowance > 0 && this.#attempts.size < socketsMax && this.#tryNext(now)) {
        allowance--;
        this.#pacer.spend(1);
      }
      await clock.sleep(rate === 0 ? IDLE_MILLIS : Math.min(IDLE_MILLIS, this.#pacer.pause(rate)));
    }
  }

  /** False if all is sent: then there is no rate because none is needed, and late replies are still awaited. */
  get #hasWork(): boolean {
    return [...this.#first, ...this.#repeats].some(({ hasEnded }) => !hasEnded);
  }

  /** Starts the connection of the next position; repeats go first. @returns false if none is due */
  #tryNext(now: number): boolean {
    for (const jobs of [this.#repeats, this.#first]) {
      for (;;) {
        const [job] = jobs;
        if (job === undefined) break;
        const position = job.hasEnded ? undefined : job.take(now);
        if (position !== undefined) {
          this.#try(job, position);
          return true;
        }
        if (!job.hasEnded) break;
        jobs.shift();
      }
    }
    return false;
  }

  /** The reason why a position must not be probed; 0 if there is none. */
  #blockOf(position: number): number {
    const target = this.#deps.plan.targetAt(position);
    this.#batch.count = 0;
    this.#batch.add(target, position);
    return this.#filter.codeFor(this.#batch, 0, target.isIpv4 ? 4 : 6);
  }

  #try(job: ConnectJob, position: number): void {
    const now = this.#deps.clock.monotonic();
    const target = this.#deps.plan.targetAt(position);
    const family = target.isIpv4 ? 4 : 6;
    const blocked = this.#blockOf(position);
    if (blocked !== 0) {
      job.onUnsent(position, blocked);
      return;
    }
    const localAddress = this.#deps.sources[family];
    const bound = localAddress === undefined ? {} : { localAddress };
    const host = formatAddress(target);
    const socket = connect({ host, port: target.port, family, ...bound });
    const attempt: Attempt = { job, position, socket, startedAt: now, isImmediate: true };
    this.#attempts.add(attempt);
    job.onTry(position);
    this.totals.probesSent++;
    const { clock } = this.#deps;
    const roundTrip = () => Math.round((clock.monotonic() - now) * 1000);
    socket.on('connect', () => {
      job.onSent(position);
      this.#report(attempt, target, CONNECTED, roundTrip());
      socket.resetAndDestroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#onError(attempt, target, error.code ?? '', roundTrip());
    });
    socket.on('close', () => this.#attempts.delete(attempt));
    // Errors of connect(2) itself are reported before the next turn of the event loop.
    setImmediate(() => {
      if (attempt.isImmediate) job.onSent(position);
      attempt.isImmediate = false;
    });
  }

  #onError(attempt: Attempt, target: Target, code: string, roundTrip: number): void {
    const { job, position, isImmediate } = attempt;
    attempt.isImmediate = false;
    const verdict = verdictOn(code, isImmediate);
    if (verdict.kind === 'reply') this.#report(attempt, target, verdict.place, roundTrip);
    if (verdict.kind === 'reply' || verdict.kind === 'silent') {
      job.onSent(position);
      return;
    }
    this.totals.probesSent--;
    if (verdict.kind === 'unsent') {
      job.onRefused(position, verdict.code);
      return;
    }
    // Errors that concern only this target are not counted: they are no reason to slow down.
    const { sendErrors } = this.totals;
    sendErrors[code] = (sendErrors[code] ?? 0) + 1;
    job.onLocalFault(position, this.#deps.clock.monotonic());
  }

  #report({ position, socket }: Attempt, target: Target, place: number, roundTrip: number): void {
    const source = new Endpoint();
    const { localAddress, localPort } = socket;
    if (localAddress !== undefined) source.setWords(wordsOf(localAddress));
    source.port = localPort ?? 0;
    this.onOutcome(position, place, { source, target }, roundTrip);
  }

  /** Ends connections before the kernel repeats their SYN, because nothing may be sent now. */
  #endBeforeRepeats(now: number): void {
    for (const { startedAt, socket } of this.#attempts) {
      if (now - startedAt >= SYN_REPEAT_MILLIS - 2 * IDLE_MILLIS) socket.destroy();
    }
  }

  #endOverdue(now: number): void {
    for (const { startedAt, socket } of this.#attempts) {
      if (now - startedAt < this.#deps.timeout) break; // the others are younger
      socket.destroy();
    }
  }
}

/** @param address may end with a zone, as link-local ones do: `fe80::1%eth0` (RFC 4007 §11) */
function wordsOf(address: string): Endpoint['words'] {
  const [plain = ''] = address.split('%');
  return plain.includes(':') ? parseWords(plain) : mappedWords(parseIpv4(plain));
}
