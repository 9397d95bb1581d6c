/**
 * Retransmission: the rounds of probes to the positions of one shard. The first round probes each position; later
 * ones follow it at a distance in time, and probe what is silent by then. A position is done once its last
 * round is past it, so the shard settles continuously, and the death of an agent repeats no more than the
 * positions between the first round and the cooldown of the last.
 */
import type { Clock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Sender, Sending, Unsent } from '../interfaces.js';
import { CooldownTracker } from './cooldown-tracker.js';

/** A later round. */
interface Round {
  /** When positions got the probe of the round before. */
  readonly previous: CooldownTracker;
  /** Positions below it are done with this round, or in `sending`. */
  startedUpTo: number;
  /** Probes of sendings that have ended. */
  probesSent: number;
  sending: Sending | undefined;
}

export interface ProbeRoundsDeps {
  readonly sender: Sender;
  readonly clock: Clock;
  /** Positions [from, to). */
  readonly from: number;
  readonly to: number;
  /** Probes per target, 1 or more. */
  readonly rounds: number;
  /** The class or unsent reason per position, from the start of the shard; 0 if it is silent so far. */
  readonly classes: Uint8Array;
  /** The position of the first element of `classes`. */
  readonly classesFrom: number;
}

export class ProbeRounds {
  readonly #deps: ProbeRoundsDeps;
  readonly #first: Sending;
  readonly #later: readonly Round[];
  #isAbandoned = false;

  constructor(deps: ProbeRoundsDeps) {
    const { sender, from, to, rounds } = deps;
    this.#deps = deps;
    this.#first = sender.send(from, to);
    this.#later = Array.from({ length: rounds - 1 }, () => ({
      previous: new CooldownTracker(from),
      startedUpTo: from,
      probesSent: 0,
      sending: undefined,
    }));
  }

  /** Every position below it was sent at least once, or recorded as unsent. */
  get sentUpTo(): number {
    return this.#first.sentUpTo;
  }

  /** Every position below it needs no further probe. */
  get doneUpTo(): number {
    const last = this.#later.at(-1);
    return last === undefined ? this.#first.sentUpTo : reachedBy(last);
  }

  get versionSpans(): Sending['versionSpans'] {
    return this.#first.versionSpans;
  }

  /** Probes of later rounds. */
  get repeatedProbes(): number {
    let sum = 0;
    for (const { probesSent, sending } of this.#later)
      sum += probesSent + (sending?.probesSent ?? 0);
    return sum;
  }

  /** Positions that have no probe yet. */
  get unsent(): number {
    return this.#first.hasEnded ? 0 : this.#deps.to - this.#first.sentUpTo;
  }

  /** True while positions may still be probed again. */
  get hasRepeats(): boolean {
    return this.#later.length > 0 && !this.#isAbandoned && this.doneUpTo < this.#deps.to;
  }

  /** True once no more probes will be sent. */
  get hasEnded(): boolean {
    if (!this.#first.hasEnded) return false;
    if (this.#later.some(({ sending }) => sending?.hasEnded === false)) return false;
    return this.#isAbandoned || this.doneUpTo >= this.#deps.to;
  }

  /** The positions that the first round recorded as unsent; a position probed before is not unsent. */
  takeUnsent(): readonly Unsent[] {
    for (const { sending } of this.#later) sending?.takeUnsent();
    return this.#first.takeUnsent();
  }

  /** Starts the repeats that are due. Called often. */
  advance(): void {
    const now = this.#deps.clock.monotonic();
    let reached = this.#first.sentUpTo;
    for (const round of this.#later) {
      round.previous.observe(now, reached);
      this.#collect(round);
      const due = round.previous.sentUpToAt(now - LIMITS.repeatMillis);
      if (round.sending === undefined && due > round.startedUpTo && !this.#isAbandoned) {
        this.#start(round, due);
      }
      reached = reachedBy(round);
    }
  }

  /** Stops all rounds. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#first.abandon();
    for (const { sending } of this.#later) sending?.abandon();
  }

  /** Frees the slots; allowed once it has ended. */
  releaseSlots(): void {
    this.#first.releaseSlot();
    for (const round of this.#later) this.#collect(round);
  }

  #start(round: Round, due: number): void {
    const { sender, classes, classesFrom } = this.#deps;
    const silent = firstSilent(classes, round.startedUpTo - classesFrom, due - classesFrom);
    // If the sender has no room for it, the repeats are not skipped.
    if (silent >= 0) {
      round.sending = sender.send(silent + classesFrom, due, { classes, classesFrom });
    }
    round.startedUpTo = due;
  }

  /** Takes the result of a sending that has ended. */
  #collect(round: Round): void {
    const { sending } = round;
    if (sending?.hasEnded !== true) return;
    round.startedUpTo = Math.min(round.startedUpTo, sending.sentUpTo);
    round.probesSent += sending.probesSent;
    round.sending = undefined;
    sending.releaseSlot();
  }
}

function reachedBy({ sending, startedUpTo }: Round): number {
  return sending === undefined ? startedUpTo : Math.min(startedUpTo, sending.sentUpTo);
}

/** The first silent element of [from, to), or −1. */
function firstSilent(classes: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) if (classes[at] === 0) return at;
  return -1;
}
