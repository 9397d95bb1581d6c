/**
 * The deferred positions of one shard: targets in slowed networks, each sent by a send job of one position when its
 * network has a token.
 */
import { UNSENT } from '../../shared/survey/unsent.js';
import type { Sending, ShardSender, Unsent } from '../interfaces.js';
import type { SlowPace } from './slow-pace.js';

/** Slots of the sender that are left for other jobs. */
const SLOTS_KEPT = 640;
/** Used in place of a network for positions that have since been excluded: they need no token. */
const EXCLUDED = '';

interface InProgress {
  readonly network: string;
  readonly sending: Sending;
}

export class DeferredProbes {
  readonly #sender: ShardSender;
  readonly #pace: SlowPace;
  /** The positions that wait, by network. */
  readonly #waiting = new Map<string, number[]>();
  readonly #inProgress = new Map<number, InProgress>();
  readonly #unsent: Unsent[] = [];
  /** The lowest position that waits or is being sent. */
  #first = Number.POSITIVE_INFINITY;
  #isAbandoned = false;
  /** Number of probes sent by jobs that have ended. */
  #probesSent = 0;

  constructor(sender: ShardSender, pace: SlowPace) {
    this.#sender = sender;
    this.#pace = pace;
  }

  /** The lowest position that has no probe yet; infinite if there is none. */
  get first(): number {
    return this.#first;
  }

  /** True if no position waits or is being sent. */
  get isEmpty(): boolean {
    return this.#waiting.size === 0 && this.isIdle;
  }

  /** True if no position is being sent. */
  get isIdle(): boolean {
    return this.#inProgress.size === 0;
  }

  get probesSent(): number {
    let sum = this.#probesSent;
    for (const { sending } of this.#inProgress.values()) sum += sending.probesSent;
    return sum;
  }

  /** Adds the positions that a sender has just deferred. */
  add(positions: readonly number[], now: number): void {
    for (const position of positions) this.#wait(this.#pace.add(position, now), position);
  }

  /** Sends what is due, and collects what was sent. Called often. */
  advance(now: number): void {
    if (this.isEmpty) return;
    for (const [position, each] of this.#inProgress) this.#collect(position, each);
    for (const [network, positions] of this.#waiting) this.#sendDue(network, positions, now);
    this.#updateFirst();
  }

  /**
   * Positions that have been excluded since they were deferred need no token: the next `advance` passes them to
   * the sender, and the sender records them as unsent.
   */
  expedite(isExcluded: (position: number) => boolean): void {
    for (const [network, positions] of this.#waiting) {
      if (network === EXCLUDED) continue;
      const excluded = positions.filter(isExcluded);
      if (excluded.length === 0) continue;
      const isOut = new Set(excluded);
      this.#waiting.set(
        network,
        positions.filter((position) => !isOut.has(position)),
      );
      for (const position of excluded) this.#wait(EXCLUDED, position);
    }
  }

  /** The positions given up without a probe since the last call. */
  takeUnsent(): readonly Unsent[] {
    return this.#unsent.splice(0);
  }

  /** Starts no more probes; positions that wait keep waiting. */
  abandon(): void {
    this.#isAbandoned = true;
    for (const { sending } of this.#inProgress.values()) sending.abandon();
  }

  /** Gives up the positions that wait: they are recorded as unsent. */
  giveUp(): void {
    for (const positions of this.#waiting.values()) {
      for (const position of positions) this.#unsent.push({ position, code: UNSENT.PROHIBITED });
    }
    this.#waiting.clear();
    this.#updateFirst();
  }

  #wait(network: string, position: number): void {
    const positions = this.#waiting.get(network);
    if (positions === undefined) this.#waiting.set(network, [position]);
    else positions.push(position);
    this.#first = Math.min(this.#first, position);
  }

  #sendDue(network: string, positions: number[], now: number): void {
    let sent = 0;
    while (sent < positions.length && this.#maySend(network, now)) {
      const position = positions[sent++] as number;
      const sending = this.#sender.send(position, position + 1, { isDeferred: true });
      this.#inProgress.set(position, { network, sending });
    }
    positions.splice(0, sent);
    if (positions.length === 0) this.#waiting.delete(network);
  }

  #maySend(network: string, now: number): boolean {
    if (this.#isAbandoned || this.#sender.freeSlots <= SLOTS_KEPT) return false;
    return network === EXCLUDED || this.#pace.take(network, now);
  }

  #collect(position: number, { network, sending }: InProgress): void {
    if (!sending.hasEnded) return;
    const isDone = sending.sentUpTo > position;
    this.#unsent.push(...sending.takeUnsent());
    this.#probesSent += sending.probesSent;
    this.#inProgress.delete(position);
    if (network !== EXCLUDED) this.#pace.done(network);
    sending.releaseSlot();
    if (!isDone) this.#wait(network, position);
  }

  #updateFirst(): void {
    let first = Number.POSITIVE_INFINITY;
    for (const position of this.#inProgress.keys()) first = Math.min(first, position);
    for (const positions of this.#waiting.values()) {
      for (const position of positions) first = Math.min(first, position);
    }
    this.#first = first;
  }
}
