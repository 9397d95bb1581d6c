/**
 * Sends probes as connections that the kernel makes, at most `socketsMax` at once. A connection that opens is
 * reset; a connection that has neither opened nor been refused within the cooldown counts as silent.
 */
import { connect, type Socket } from 'node:net';
import { parseIpv4 } from '../../shared/net/address.js';
import { Endpoint, type Target } from '../../shared/net/endpoint.js';
import { formatAddress, mappedWords, parseWords } from '../../shared/net/ipv6.js';
import type { Family } from '../../shared/probe/probe.js';
import type { AddressLists } from '../../shared/survey/policy/address-lists.js';
import { verdictOn } from './connect-faults.js';
import type { DirectJob } from './direct-job.js';
import { DirectSender, type DirectSenderDeps, IDLE_MILLIS } from './direct-sender.js';

/** Index of the class `connected` among the classes of `tcp-connect`. */
const CONNECTED = 0;
/** The time after which the kernel repeats a SYN for the first time (RFC 6298 §2.1). */
const SYN_REPEAT_MILLIS = 1000;

/** Our source address per family; for a family without one, the kernel chooses. */
export type ConnectSources = Readonly<Partial<Record<Family, string>>>;

export interface ConnectSenderDeps extends DirectSenderDeps {
  /** Milliseconds after which a connection counts as silent. */
  readonly timeout: number;
  /** Connections in progress at once. */
  readonly socketsMax: number;
  readonly sources: ConnectSources;
}

/** A connection in progress. */
interface Attempt {
  readonly job: DirectJob;
  readonly position: number;
  readonly socket: Socket;
  readonly startedAt: number;
  /** True until it is known how connect(2) ended. */
  isImmediate: boolean;
}

export class ConnectSender extends DirectSender {
  readonly transmit = 'connect';
  readonly #deps: ConnectSenderDeps;
  readonly #attempts = new Set<Attempt>();

  constructor(deps: ConnectSenderDeps) {
    super(deps);
    this.#deps = deps;
  }

  override setExclusions(excluded: AddressLists, version: number): void {
    super.setExclusions(excluded, version);
    // Ends connections to targets that are excluded now, because the kernel may otherwise repeat their
    // SYNs.
    for (const { position, socket } of this.#attempts) {
      if (this.blockOf(position) !== 0) socket.destroy();
    }
  }

  override async close(): Promise<void> {
    for (const { socket } of this.#attempts) socket.destroy();
    await super.close();
  }

  protected override get hasRoom(): boolean {
    return this.#attempts.size < this.#deps.socketsMax;
  }

  protected beforeSending(now: number, isHalted: boolean): void {
    this.#endOverdue(now);
    if (isHalted) this.#endBeforeRepeats(now);
  }

  protected try(job: DirectJob, position: number, target: Target): void {
    const now = this.clock.monotonic();
    const family = target.isIpv4 ? 4 : 6;
    const localAddress = this.#deps.sources[family];
    const bound = localAddress === undefined ? {} : { localAddress };
    const host = formatAddress(target);
    const socket = connect({ host, port: target.port, family, ...bound });
    const attempt: Attempt = { job, position, socket, startedAt: now, isImmediate: true };
    this.#attempts.add(attempt);
    job.onTry(position);
    this.totals.probesSent++;
    const { clock } = this;
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
    job.onLocalFault(position, this.clock.monotonic());
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
