/**
 * One shard held by this agent, from its lease to its end: probes are sent, replies recorded, rows published,
 * positions settled. The order within `reconcile` is the invariant: rows of settled positions are published
 * and acknowledged before a report claims that they are settled; and the shard is forgotten only once its last
 * report is answered.
 */
import { assert } from '../shared/base/assert.js';
import type { Clock } from '../shared/base/clock.js';
import { LIMITS } from '../shared/base/limits.js';
import type { NewLease, ShardReport } from '../shared/bus/heartbeat.js';
import type { ResultPublisher } from '../shared/bus/interfaces.js';
import { Dissection } from '../shared/packet/dissect.js';
import { CookieMac, probeKey } from '../shared/probe/cookies.js';
import { ProbeSet } from '../shared/probe/probe-set.js';
import { type LeaseState, type ReportedEpoch, textOfReport } from '../shared/survey/lease.js';
import type { Shard } from '../shared/survey/plan.js';
import { FLAG_COOLDOWN } from '../shared/survey/results.js';
import type { Survey } from '../shared/survey/survey.js';
import { OUTCOME, type Reply, type ReplyRecorder, type Sender } from './interfaces.js';
import { CooldownTracker } from './lease/cooldown-tracker.js';
import { withKey } from './lease/keyed-sender.js';
import { ProbeRounds } from './lease/probe-rounds.js';
import type { SendingSequence } from './lease/sending-sequence.js';
import { ShardReports } from './lease/shard-reports.js';
import type { SlowPace } from './lease/slow-pace.js';
import type { IcmpErrors } from './replies/icmp-errors.js';
import { ShardReplies } from './replies/shard-replies.js';

/** Frames may wait this long in the capture's buffer before we see them. */
const CAPTURE_LAG_MILLIS = 100;

/** Names of the agent, as rows bear them. */
export interface Holder {
  readonly agent: string;
  readonly vantage: string;
}

export interface HeldShardDeps {
  readonly survey: Survey;
  /** Names of the classes of replies, by code. */
  readonly classNames: readonly string[];
  readonly shard: Shard;
  readonly holder: Holder;
  /** The number of our epoch, the position where it starts, and its key. */
  readonly lease: Pick<NewLease, 'epoch' | 'from' | 'key'>;
  readonly sender: Sender;
  readonly icmpErrors: IcmpErrors;
  /** The pace of deferred probes, of all shards together. */
  readonly slowPace: SlowPace;
  readonly sequence: SendingSequence;
  readonly results: ResultPublisher;
  readonly clock: Clock;
  /** Signs the last report; undefined without a login. */
  readonly sign?: ((text: string) => string) | undefined;
  /** Called when the shard has ended, and its last report is ready. */
  readonly onEnded: () => void;
}

export class HeldShard implements ReplyRecorder {
  readonly #deps: HeldShardDeps;
  readonly #replies: ShardReplies;
  readonly #cooldown: CooldownTracker;
  readonly #rounds: ProbeRounds;
  /** By the index of the probe. */
  readonly #cookies: readonly (CookieMac | undefined)[];
  #unpublished: ReturnType<ShardReplies['takeBatch']>;
  #publishedAt: number;
  #claimedAt: number;
  readonly #reports: ShardReports;
  #isReconciling = false;
  #isStopping = false;
  /** From this time on (our monotonic clock), replies may have been missed; infinite if none were. */
  #missedFrom = Number.POSITIVE_INFINITY;
  /** True once this shard is settled, released or lost. */
  isGone = false;

  constructor(deps: HeldShardDeps) {
    const { shard, lease, clock } = deps;
    assert(
      shard.from <= lease.from && lease.from <= shard.to,
      'the lease starts outside its shard',
    );
    this.#deps = deps;
    this.#replies = new ShardReplies(shard, lease.from, deps.classNames);
    this.#reports = new ShardReports(shard.number, lease);
    this.#cooldown = new CooldownTracker(lease.from);
    const { sender, survey, slowPace, sequence } = deps;
    this.#cookies = new ProbeSet(survey.probes).all.map(({ index, probe }) =>
      probe.kind === 'packet' ? new CookieMac(probeKey(lease.key, index)) : undefined,
    );
    this.#rounds = new ProbeRounds({
      sender: withKey(sender, lease.key),
      clock,
      from: lease.from,
      to: shard.to,
      rounds: survey.probesPerTarget,
      classes: this.#replies.classes,
      classesFrom: shard.from,
      slowPace,
      sequence,
    });
    const now = clock.monotonic();
    this.#publishedAt = now;
    this.#claimedAt = now;
  }

  get epoch(): number {
    return this.#deps.lease.epoch;
  }

  /** Positions still to be sent. */
  get unsent(): number {
    return this.#rounds.unsent;
  }

  /** True while deferred positions wait, or silent ones may be probed again. */
  get hasLater(): boolean {
    return this.#rounds.hasRepeats || this.#rounds.hasDeferred;
  }

  cookiesOf(probe: number): CookieMac | undefined {
    return this.#cookies[probe];
  }

  onReply(reply: Reply, timestamp: number): number {
    const isRow = this.#deps.survey.rows === 'all' || reply.isSuccess;
    const flags = this.#rounds.hasEnded ? FLAG_COOLDOWN : 0;
    const outcome = this.#replies.add(reply, { timestamp, isRow, flags });
    const { content, position } = reply;
    if (outcome === OUTCOME.NEW && content instanceof Dissection && content.isError) {
      this.#deps.icmpErrors.onError(content, this.#rounds.placeOf(position));
    }
    return outcome;
  }

  /** Deferred positions that have since been excluded need not wait. */
  expedite(isExcluded: (position: number) => boolean): void {
    this.#rounds.expedite(isExcluded);
  }

  /** Stops sending. Replies to probes already sent are still recorded, and their positions still settle. */
  stop(): void {
    this.#isStopping = true;
    this.#rounds.abandon();
  }

  /**
   * Stops, so that other agents can finish the shard sooner. Does nothing if only deferred probes are left,
   * because nobody may send them sooner.
   */
  leaveToOthers(): void {
    if (!this.#rounds.isWaitingOnly) this.stop();
  }

  /**
   * Replies after `instant` may have been missed: releases the positions that had not settled by then, so
   * that they are probed again.
   */
  release(instant: number): void {
    this.#missedFrom = Math.min(this.#missedFrom, instant);
    this.stop();
  }

  /** The report for the next heartbeat. */
  report(): ShardReport {
    return this.#reports.next();
  }

  /** Called once the coordinator has answered a report: after the last one, the shard is forgotten. */
  onAnswered(report: ShardReport): void {
    if (this.#reports.onAnswered(report)) this.#end();
  }

  /** The lease is not ours any more: stops at once. */
  lose(): void {
    this.#end();
  }

  #end(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#releaseSlot();
  }

  /**
   * Publishes rows, or prepares a report, if that is due. Called often; does nothing while a previous call is in
   * progress, and once the last report is ready.
   * @param capturedUntil time (our monotonic clock) up to which all replies have been recorded
   */
  async reconcile(capturedUntil: number, isSurveyEnding: boolean): Promise<void> {
    if (this.isGone || this.#isReconciling || this.#reports.hasEnded) return;
    this.#isReconciling = true;
    try {
      await this.#reconcileOnce(capturedUntil, isSurveyEnding);
    } finally {
      this.#isReconciling = false;
    }
  }

  async #reconcileOnce(capturedUntil: number, isSurveyEnding: boolean): Promise<void> {
    const { shard, clock, survey } = this.#deps;
    const now = clock.monotonic();
    const rounds = this.#rounds;
    const hasStopped = this.#isStopping && rounds.hasEnded;
    if (hasStopped && isSurveyEnding) rounds.giveUpDeferred();
    rounds.advance();
    // When a survey ends, positions that were probed once are done, although more probes to them were
    // planned.
    const doneUpTo = hasStopped && isSurveyEnding ? rounds.sentUpTo : rounds.doneUpTo;
    this.#recordUnsent();
    this.#cooldown.observe(now, doneUpTo);
    const captured = Math.min(capturedUntil, this.#missedFrom);
    const settledUpTo = this.#cooldown.sentUpToAt(captured - survey.cooldown - CAPTURE_LAG_MILLIS);
    const hasMissed = this.#missedFrom < Number.POSITIVE_INFINITY;
    const end = !hasStopped ? shard.to : hasMissed ? settledUpTo : doneUpTo;
    const isOver = settledUpTo >= end;
    const isDue = now - this.#claimedAt >= LIMITS.claimMillis;
    if (isOver || isDue) await this.#prepareReport(settledUpTo, isOver);
    else if (this.#replies.rowCount >= LIMITS.batchRows || this.#isBatchDue(now)) {
      await this.#publish();
    }
  }

  /** Records the unsent positions: at least all those below a `sentUpTo` that was read before the call. */
  #recordUnsent(): void {
    const micros = Math.floor(this.#deps.clock.wall() * 1000);
    for (const { position, code } of this.#rounds.takeUnsent()) {
      this.#replies.addUnsent(position, code, micros);
    }
  }

  /** Publishes the rows of settled positions, and only then claims that they are settled. */
  async #prepareReport(settledUpTo: number, isOver: boolean): Promise<void> {
    const { shard, clock, onEnded } = this.#deps;
    this.#claimedAt = clock.monotonic();
    this.#replies.settle(settledUpTo);
    this.#addFindings(settledUpTo);
    await this.#publish();
    const { sentUpTo, versionSpans, probesSent } = this.#rounds;
    assert(settledUpTo <= sentUpTo, `settled up to ${settledUpTo}, sent up to ${sentUpTo}`);
    this.#recordUnsent();
    const { counts, batches } = this.#replies;
    const progress = { sentUpTo, probesSent, settledUpTo, versionSpans, batches, ...counts };
    const state: LeaseState = settledUpTo === shard.to ? 'settled' : isOver ? 'released' : 'held';
    if (state === 'held') this.#reports.claim(state, progress);
    else {
      this.#reports.claim(state, { ...progress, signature: this.#signatureOf(progress) });
      onEnded();
    }
  }

  #signatureOf(progress: Omit<ReportedEpoch, 'survey' | 'shard' | 'epoch' | 'agent' | 'from'>) {
    const { survey, shard, lease, holder, sign } = this.#deps;
    const { epoch, from } = lease;
    const named = { survey: survey.id, shard: shard.number, epoch, agent: holder.agent, from };
    return sign?.(textOfReport({ ...named, ...progress }));
  }

  /** Adds the new findings from ICMP errors, including findings from the errors of other shards. */
  #addFindings(settledUpTo: number): void {
    const { icmpErrors, clock, lease } = this.#deps;
    if (settledUpTo > lease.from) icmpErrors.settle(this.#rounds.placeOf(settledUpTo));
    const { room } = this.#reports;
    if (room > 0) this.#reports.addFindings(icmpErrors.take(room, clock.monotonic()));
  }

  /**
   * Publishes all gathered rows; resolves once the stream has acknowledged them. A batch that could not be
   * published is kept, and published first by the next call, because its serial number is already in use.
   */
  async #publish(): Promise<void> {
    const { survey, shard, lease, holder, results, clock } = this.#deps;
    this.#publishedAt = clock.monotonic();
    const head = { survey: survey.id, shard: shard.number, epoch: lease.epoch, ...holder };
    for (;;) {
      this.#unpublished ??= this.#replies.takeBatch(LIMITS.batchRows);
      if (this.#unpublished === undefined) return;
      await results.publish({ ...head, ...this.#unpublished }, lease.key);
      this.#unpublished = undefined;
    }
  }

  #isBatchDue(now: number): boolean {
    return this.#replies.rowCount > 0 && now - this.#publishedAt >= LIMITS.batchMillis;
  }

  /** The sender may still be in its last batch, so the slot is released only once sending has ended. */
  #releaseSlot(): void {
    const { clock } = this.#deps;
    const rounds = this.#rounds;
    rounds.abandon();
    const release = async () => {
      for (; !rounds.hasEnded; rounds.advance()) await clock.sleep(LIMITS.settlePollMillis);
      rounds.releaseSlots();
    };
    void release();
  }
}
