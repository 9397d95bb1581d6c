/**
 * Retransmission: the rounds of probes to the positions of one shard. The first round probes each position;
 * later rounds follow at a distance in time, and probe the positions that are still silent by then. A
 * position is done once the last round has passed it, so the shard settles continuously; if the agent dies,
 * only the positions between the first round and the end of the last round's cooldown are probed again.
 */
import type { Clock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import { DEFERRED, type Sending, type ShardSender, type Unsent } from '../interfaces.js';
import { CooldownTracker } from './cooldown-tracker.js';
import { DeferredProbes } from './deferred-probes.js';
import type { SendingSequence, Stretch } from './sending-sequence.js';
import type { SlowPace } from './slow-pace.js';

/** A later round. */
interface Round {
  /** The times at which positions were probed in the previous round. */
  readonly previous: CooldownTracker;
  /** Every position below it has been handled in this round, or belongs to `sending`. */
  startedUpTo: number;
  /** Number of probes sent by jobs of this round that have ended. */
  probesSent: number;
  sending: Sending | undefined;
}

export interface ProbeRoundsDeps {
  readonly sender: ShardSender;
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
  /** The pace of deferred probes, of all shards together. */
  readonly slowPace: SlowPace;
  /** The agent's sending sequence, which advances with the first round. */
  readonly sequence: SendingSequence;
}

export class ProbeRounds {
  readonly #deps: ProbeRoundsDeps;
  readonly #first: Sending;
  readonly #later: readonly Round[];
  readonly #deferred: DeferredProbes;
  readonly #unsent: Unsent[] = [];
  /** The last `sentUpTo` of the first round, and its places in the agent's sending sequence. */
  #reached: number;
  readonly #stretch: Stretch;
  /** True once the first round has ended, and its places are final. */
  #isClosed = false;
  #sentUpTo: number;
  #isAbandoned = false;

  constructor(deps: ProbeRoundsDeps) {
    const { sender, from, to, rounds } = deps;
    this.#deps = deps;
    this.#first = sender.send(from, to);
    this.#deferred = new DeferredProbes(sender, deps.slowPace);
    this.#sentUpTo = from;
    this.#reached = from;
    this.#stretch = deps.sequence.open(to - from);
    this.#later = Array.from({ length: rounds - 1 }, () => ({
      previous: new CooldownTracker(from),
      startedUpTo: from,
      probesSent: 0,
      sending: undefined,
    }));
  }

  /** Every position below it was sent at least once, or recorded as unsent; as of the last `advance`. */
  get sentUpTo(): number {
    return this.#sentUpTo;
  }

  /** Every position below it needs no further probe. */
  get doneUpTo(): number {
    const last = this.#later.at(-1);
    return last === undefined ? this.#sentUpTo : reachedBy(last);
  }

  get versionSpans(): Sending['versionSpans'] {
    return this.#first.versionSpans;
  }

  /** Probes that the kernel has accepted, of all rounds. */
  get probesSent(): number {
    let sum = this.#first.probesSent + this.#deferred.probesSent;
    for (const { probesSent, sending } of this.#later)
      sum += probesSent + (sending?.probesSent ?? 0);
    return sum;
  }

  /** The number of positions not probed yet, except deferred ones, which use almost none of the rate. */
  get unsent(): number {
    return this.#first.hasEnded ? 0 : this.#deps.to - this.#first.sentUpTo;
  }

  /** True while deferred positions wait for their probe. */
  get hasDeferred(): boolean {
    return !this.#isAbandoned && !this.#deferred.isEmpty;
  }

  /** True if all positions but deferred ones have had their first probe. */
  get isWaitingOnly(): boolean {
    return this.#first.hasEnded && !this.#deferred.isEmpty;
  }

  /** True while positions may still be probed again. */
  get hasRepeats(): boolean {
    return this.#later.length > 0 && !this.#isAbandoned && this.doneUpTo < this.#deps.to;
  }

  /** True once no more probes will be sent. */
  get hasEnded(): boolean {
    if (!this.#first.hasEnded || !this.#deferred.isIdle) return false;
    if (this.#later.some(({ sending }) => sending?.hasEnded === false)) return false;
    return this.#isAbandoned || this.doneUpTo >= this.#deps.to;
  }

  /**
   * The positions recorded as unsent since the last call: at least all those below `sentUpTo`. Only the first
   * round has any, because a position probed before is not unsent.
   */
  takeUnsent(): readonly Unsent[] {
    return this.#unsent.splice(0);
  }

  /** Observes progress, and starts the deferred probes and the repeats that are due. Called often. */
  advance(): void {
    const now = this.#deps.clock.monotonic();
    let reached = this.#observeFirst(now);
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

  /** Deferred positions that have since been excluded need not wait. */
  expedite(isExcluded: (position: number) => boolean): void {
    this.#deferred.expedite(isExcluded);
  }

  /** Gives up the deferred positions: they are recorded as unsent. */
  giveUpDeferred(): void {
    this.#deferred.giveUp();
  }

  /** Stops all rounds. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#first.abandon();
    this.#deferred.abandon();
    for (const { sending } of this.#later) sending?.abandon();
  }

  /** @returns `sentUpTo`, which stops at the lowest deferred position, because that one is still to be sent */
  #observeFirst(now: number): number {
    const reached = this.#first.sentUpTo;
    this.#advanceOrder(reached);
    const deferred: number[] = [];
    for (const unsent of this.#first.takeUnsent()) {
      if (unsent.code === DEFERRED) deferred.push(unsent.position);
      else this.#unsent.push(unsent);
    }
    this.#deferred.add(deferred, now);
    this.#deferred.advance(now);
    this.#unsent.push(...this.#deferred.takeUnsent());
    this.#sentUpTo = Math.min(reached, this.#deferred.first);
    return this.#sentUpTo;
  }

  #advanceOrder(reached: number): void {
    this.#deps.sequence.advance(reached - this.#reached);
    this.#reached = reached;
    if (!this.#first.hasEnded || this.#isClosed) return;
    this.#isClosed = true;
    this.#deps.sequence.close(this.#stretch, this.#first.sentUpTo - this.#deps.from);
  }

  /** The place of a position of the first round in the agent's sending sequence. */
  placeOf(position: number): number {
    return this.#stretch.first + position - this.#deps.from;
  }

  /** Frees the slots; allowed once it has ended. */
  releaseSlots(): void {
    this.#deps.sequence.forget(this.#stretch);
    this.#first.releaseSlot();
    for (const round of this.#later) this.#collect(round);
  }

  #start(round: Round, due: number): void {
    const { sender, classes, classesFrom } = this.#deps;
    // Keeps one slot per possible lease free for first rounds, so that every leased shard can begin.
    if (sender.freeSlots <= LIMITS.leasesPerAgent) return;
    const silent = firstSilent(classes, round.startedUpTo - classesFrom, due - classesFrom);
    if (silent >= 0) {
      const known = { classes, classesFrom };
      round.sending = sender.send(silent + classesFrom, due, { known });
    }
    round.startedUpTo = due;
  }

  /** If the sending of the round has ended: records how far it got and its number of probes, and frees its slot. */
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
