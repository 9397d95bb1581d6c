/**
 * A send job of a direct sender: keeps track of the positions [from, to), of those that must be tried again,
 * and of those recorded as unsent.
 */
import { LIMITS } from '../../shared/base/limits.js';
import type { VersionSpan } from '../../shared/survey/policy/exclusions.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import type { KnownClasses, Sending, Unsent } from '../interfaces.js';

const RETRY_MILLIS = 100;
/** Value of `at` while a position is being tried; otherwise `at` is a time in monotonic milliseconds. */
const TRYING = Number.POSITIVE_INFINITY;

export class DirectJob implements Sending {
  readonly known: KnownClasses | undefined;
  probesSent = 0;
  readonly versionSpans: VersionSpan[] = [];
  /** The next position that was not tried yet. */
  next: number;
  readonly #to: number;
  /** Positions that are being tried, or that could not be tried: the number of attempts, and when to try again. */
  readonly #pending = new Map<number, { attempts: number; at: number }>();
  #unsent: Unsent[] = [];
  #isAbandoned = false;

  constructor(from: number, to: number, known: KnownClasses | undefined) {
    this.next = from;
    this.#to = to;
    this.known = known;
  }

  get sentUpTo(): number {
    return Math.min(this.next, ...this.#pending.keys());
  }

  get hasEnded(): boolean {
    return this.#isAbandoned || (this.next >= this.#to && this.#pending.size === 0);
  }

  /** The next position to try at `now`; undefined if none is due. */
  take(now: number): number | undefined {
    for (const [position, retry] of this.#pending) {
      if (retry.at > now) continue;
      retry.at = TRYING;
      return position;
    }
    const { known } = this;
    while (this.next < this.#to) {
      const position = this.next++;
      if (known === undefined || known.classes[position - known.classesFrom] === 0) return position;
    }
    return undefined;
  }

  /** A position is about to be tried: connect(2) or send(2) is called. */
  onTry(position: number): void {
    if (!this.#pending.has(position)) this.#pending.set(position, { attempts: 0, at: TRYING });
    this.probesSent++;
  }

  /** The call has succeeded: the probe is on its way. */
  onSent(position: number): void {
    this.#pending.delete(position);
  }

  /**
   * Called if this host could not try a position: the position is tried again later, and recorded as unsent
   * after `LIMITS.sendTries` attempts.
   */
  onLocalFault(position: number, now: number): void {
    const attempts = (this.#pending.get(position)?.attempts ?? 0) + 1;
    if (attempts >= LIMITS.sendTries) this.onUnsent(position, UNSENT.SEND_FAILED);
    else this.#pending.set(position, { attempts, at: now + RETRY_MILLIS * 2 ** attempts });
    this.probesSent--;
  }

  /** The position is not sent. */
  onUnsent(position: number, code: number): void {
    this.#pending.delete(position);
    this.#unsent.push({ position, code });
  }

  /** The kernel has refused the position for good. */
  onRefused(position: number, code: number): void {
    this.probesSent--;
    this.onUnsent(position, code);
  }

  takeUnsent(): readonly Unsent[] {
    const taken = this.#unsent;
    this.#unsent = [];
    return taken;
  }

  /** From the next position on, targets are checked against this version of the exclusions. */
  addVersion(version: number): void {
    if (version > (this.versionSpans.at(-1)?.version ?? -1)) {
      this.versionSpans.push({ version, from: this.next });
    }
  }

  abandon(): void {
    this.#isAbandoned = true;
  }

  releaseSlot(): void {}
}
