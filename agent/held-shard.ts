/**
 * One shard in this agent's hands, from its lease to its end: sent, listened for, reported, settled.
 * The order within `care` is the invariant: what has settled is published and acknowledged before
 * the checkpoint says so, and the checkpoint stands before the offer is let go.
 */
import type { Clock } from '../shared/base/clock.js';
import { LIMITS } from '../shared/base/limits.js';
import type { ResultStream, ShardOffer } from '../shared/bus/interfaces.js';
import { isSuccess } from '../shared/probe/classification.js';
import type { LeaseState } from '../shared/survey/lease.js';
import type { Shard } from '../shared/survey/plan.js';
import { FLAG_COOLDOWN } from '../shared/survey/results.js';
import type { Survey } from '../shared/survey/survey.js';
import type { Reply, Sending } from './interfaces.js';
import { CooldownTracker } from './lease/cooldown-tracker.js';
import type { HeldLease, Holder } from './lease/held-lease.js';
import { writeRow, writeUnsentRow } from './results/row-columns.js';
import { RECORDED, ShardResults } from './results/shard-results.js';

/** How often a lease that does not move is looked at: whether it still is ours. */
const CONFIRM_MILLIS = 30_000;
/** Frames may wait this long in the capture's buffer before we see them. */
const CAPTURE_LAG_MILLIS = 100;
const GIVE_BACK_MILLIS = 0;

export interface HeldShardDeps {
  readonly survey: Survey;
  readonly shard: Shard;
  readonly holder: Holder;
  readonly heldLease: HeldLease;
  readonly offer: ShardOffer;
  readonly sending: Sending;
  readonly results: ResultStream;
  readonly clock: Clock;
}

export class HeldShard {
  readonly #parts: HeldShardDeps;
  readonly #notebook: ShardResults;
  readonly #track: CooldownTracker;
  #unpublished: ReturnType<ShardResults['takeBatch']>;
  #flushedAt: number;
  #checkpointedAt: number;
  /** When the lease was known to be ours. */
  #confirmedAt: number;
  #extendedAt: number;
  /** Positions of which no probe left. */
  #passedBy = 0;
  #isBusy = false;
  #isStopping = false;
  /** Our monotonic clock: from here on replies may have been missed. */
  #unheardFrom = Number.POSITIVE_INFINITY;
  /** Whether this shard is out of our hands: settled, given back or lost. */
  isGone = false;

  constructor(deps: HeldShardDeps) {
    this.#parts = deps;
    this.#notebook = new ShardResults(deps.shard, deps.heldLease.from);
    this.#track = new CooldownTracker(deps.heldLease.from);
    const now = deps.clock.monotonic();
    this.#flushedAt = now;
    this.#checkpointedAt = now;
    this.#extendedAt = now;
    this.#confirmedAt = now;
  }

  /** Positions still to be sent. */
  get left(): number {
    const { sending, shard } = this.#parts;
    return sending.hasEnded ? 0 : shard.to - sending.sentUpTo;
  }

  /** Notes a reply to one of this shard's positions. @returns a `NOTED` code */
  note(reply: Reply, timestamp: number): number {
    const { position, code } = reply;
    const isRow = this.#parts.survey.rows === 'all' || isSuccess(code);
    // What makes no row cannot take back the row that says that no probe left.
    if (!isRow && this.#notebook.wasPassedBy(position)) return RECORDED.LATE;
    const noted = this.#notebook.note(position, code);
    if (noted === RECORDED.NEW && isRow) {
      const flags = this.#parts.sending.hasEnded ? FLAG_COOLDOWN : 0;
      writeRow(this.#notebook.beginRow(position, code, timestamp), reply, flags);
    }
    return noted;
  }

  /** Stops sending; what has left is still listened for and settled. */
  stop(): void {
    this.#isStopping = true;
    this.#parts.sending.abandon();
  }

  /**
   * Nothing was heard from `instant` on: what had not settled by then is handed back unsettled, to be
   * probed again.
   */
  releaseFrom(instant: number): void {
    this.#unheardFrom = Math.min(this.#unheardFrom, instant);
    this.stop();
  }

  /**
   * Looks after the shard; called often, works one step at a time.
   * @param heardUntil our monotonic clock: replies that came until then have been noted
   */
  async reconcile(capturedUntil: number, isSurveyEnding: boolean): Promise<void> {
    if (this.isGone) return;
    this.#extend(); // also while rows wait for room in the stream: the shard stays ours
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      await this.#reconcileOnce(capturedUntil, isSurveyEnding);
    } finally {
      this.#isBusy = false;
      if (this.isGone) this.#leaveSending();
    }
  }

  #extend(): void {
    const now = this.#parts.clock.monotonic();
    if (now - this.#extendedAt < LIMITS.workExtendMillis) return;
    this.#parts.offer.extend();
    this.#extendedAt = now;
  }

  async #reconcileOnce(capturedUntil: number, isSurveyEnding: boolean): Promise<void> {
    const { offer, shard, sending, clock, survey } = this.#parts;
    const now = clock.monotonic();
    const hasStopped = this.#isStopping && sending.hasEnded;
    const { sentUpTo } = sending;
    this.#noteUnsent();
    this.#track.observe(now, sentUpTo);
    const heard = Math.min(capturedUntil, this.#unheardFrom);
    const settledUpTo = this.#track.settledAt(heard - survey.cooldown - CAPTURE_LAG_MILLIS);
    const hasLostNetwork = this.#unheardFrom < Number.POSITIVE_INFINITY;
    const end = !hasStopped ? shard.to : hasLostNetwork ? settledUpTo : sentUpTo;
    const isOver = settledUpTo >= end;
    const isDue = now - this.#checkpointedAt >= LIMITS.checkpointMillis;
    if (isOver || isDue) await this.#checkpoint(settledUpTo, isOver);
    else if (this.#notebook.rows >= LIMITS.batchRows || this.#isBatchStale(now)) {
      await this.#flush();
    }
    if (!isOver || this.isGone) return;
    this.isGone = true;
    if (settledUpTo === shard.to || isSurveyEnding) await offer.complete();
    else offer.release(GIVE_BACK_MILLIS);
  }

  /** Takes over which positions were passed by: of all before `sent`, where that was read first. */
  #noteUnsent(): void {
    const micros = this.#parts.clock.wall() * 1000;
    for (const { position, code } of this.#parts.sending.takeUnsent()) {
      if (!this.#notebook.noteUnsent(position, code)) continue;
      this.#passedBy++;
      writeUnsentRow(this.#notebook.beginRow(position, code, Math.floor(micros)));
    }
  }

  async #checkpoint(settledUpTo: number, isOver: boolean) {
    const { sending, shard, heldLease, clock } = this.#parts;
    this.#notebook.close(settledUpTo);
    await this.#flush();
    const { sentUpTo, versionSpans } = sending;
    this.#noteUnsent();
    const probesSent = Math.max(0, sentUpTo - heldLease.from - this.#passedBy);
    const { counts, batches } = this.#notebook;
    const report = { sentUpTo, probesSent, settledUpTo, versionSpans, batches, ...counts };
    const state: LeaseState = settledUpTo === shard.to ? 'settled' : isOver ? 'released' : 'held';
    const hasChanged =
      state !== 'held' ||
      sentUpTo !== heldLease.report.sentUpTo ||
      settledUpTo !== heldLease.report.settledUpTo;
    const now = clock.monotonic();
    this.#checkpointedAt = now;
    // Who is lent nothing, because the lease is another's by now, has nothing to write that would tell.
    const isToAsk = !hasChanged && now - this.#confirmedAt >= CONFIRM_MILLIS;
    if (hasChanged || isToAsk) this.#confirmedAt = now;
    const isLost = hasChanged
      ? !(await heldLease.checkpoint(report, state))
      : isToAsk && !(await heldLease.isOurs());
    if (isLost) {
      this.isGone = true; // another epoch began: this shard is somebody else's
      sending.abandon();
    }
  }

  /**
   * Publishes all rows gathered; resolves once the stream has them. A batch that could not be published
   * goes first the next time: its serial is counted, so it must get there.
   */
  async #flush(): Promise<void> {
    const { survey, shard, heldLease, holder, results, clock } = this.#parts;
    this.#flushedAt = clock.monotonic();
    const head = { survey: survey.id, shard: shard.number, epoch: heldLease.epoch, ...holder };
    for (;;) {
      this.#unpublished ??= this.#notebook.takeBatch(LIMITS.batchRows);
      if (this.#unpublished === undefined) return;
      await results.publish({ ...head, ...this.#unpublished });
      this.#unpublished = undefined;
    }
  }

  #isBatchStale(now: number): boolean {
    return this.#notebook.rows > 0 && now - this.#flushedAt >= LIMITS.batchMillis;
  }

  /** The sender may still be within its last batch: its slot is freed once it has let go. */
  #leaveSending(): void {
    const { sending, clock } = this.#parts;
    sending.abandon();
    const free = async () => {
      while (!sending.hasEnded) await clock.sleep(LIMITS.settlePollMillis);
      sending.releaseSlot();
    };
    void free();
  }
}
