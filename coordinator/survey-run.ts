/**
 * One survey from its first offer to its manifest:
 *
 *     dispatch ══▶ (agents) ══▶ leases and batches ─▶ collect ─▶ store the segment ─▶ covered
 *
 * A shard is stored when its lease says it is settled and every batch the lease counts is here; the
 * batches leave the stream only once the segment is durable. Cancelled, the survey stops offering,
 * waits until the agents have settled what they had sent, and stores that.
 */

import { type Clock, every } from '../shared/base/clock.js';
import { describeError } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import { stopController } from '../shared/base/stop.js';
import type { Bus, Grant, Heartbeat, ResultDelivery } from '../shared/bus/ports.js';
import type { Target } from '../shared/net/target.js';
import { type Lease, settledOf } from '../shared/survey/lease.js';
import type { Plan } from '../shared/survey/plan.js';
import { type Rules, rulesFromBytes } from '../shared/survey/rules.js';
import { alarmingDrops, type SurveyStatus, type TargetFate } from '../shared/survey/status.js';
import { isOver, type Survey, type SurveyState } from '../shared/survey/survey.js';
import type { Log } from '../shared/telemetry/log.js';
import { Collector } from './collect/collector.js';
import { dispatch } from './dispatch/dispatch.js';
import { Governor } from './governor/governor.js';
import { Roster } from './governor/roster.js';
import { plannedFate, unplannedFate } from './ledger/fate.js';
import { holderOf, Ledger } from './ledger/ledger.js';
import { readOutcomes, type ShardOutcome, writeManifest } from './sink/manifest.js';
import { rowOf } from './sink/row.js';
import type { SegmentStore } from './sink/segments.js';

export interface SurveyRunParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly segments: SegmentStore;
  readonly version: string;
  /** Whether a coordinator before us has begun it: its grants may be out, its agents at work. */
  readonly isResumed: boolean;
}

const DISPATCH_MILLIS = 50;

export class SurveyRun {
  readonly plan: Plan;
  readonly segments: SegmentStore;
  survey: Survey;
  /** Resolves once the manifest is written, or rejects with what made it impossible. */
  readonly ended: Promise<SurveyStatus>;
  readonly #parts: SurveyRunParts;
  readonly #ledger: Ledger;
  readonly #collector = new Collector();
  readonly #governor: Governor;
  readonly #outcomes = new Map<number, ShardOutcome>();
  readonly #roster = new Roster();
  readonly #stop = stopController();
  /** Stores one shard after the other. */
  #storing: Promise<void> = Promise.resolve();
  #isImmediate = false;
  #hasWarned = false;
  /** Our monotonic clock: before it, agents and leases may not have been heard of yet. */
  readonly #calmFrom: number;
  #endedAt = 0;
  #settle: { resolve(status: SurveyStatus): void; reject(error: unknown): void } | undefined;

  constructor(survey: Survey, plan: Plan, parts: SurveyRunParts) {
    this.survey = survey;
    this.plan = plan;
    this.segments = parts.segments;
    this.#parts = parts;
    this.#ledger = new Ledger(plan.shardCount);
    const now = parts.clock.monotonic();
    this.#calmFrom = parts.isResumed ? now + LIMITS.agentGoneMillis : now;
    const lendsFrom = parts.isResumed ? now + LIMITS.grantMillis : now;
    // Microseconds: a serial that grows faster than any governor counts.
    this.#governor = new Governor(survey.rate, Math.floor(parts.clock.wall() * 1000), lendsFrom);
    this.ended = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.ended.catch(() => {}); // whoever waits for it hears of it; nobody has to
  }

  /** Takes up the survey where segments and leases stand, and works until it has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { bus, clock, log } = this.#parts;
    const stop = this.#stop;
    const abort = () => stop.abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      await this.#restore();
      const watching = this.#followLeases(stop.signal);
      await every(clock, DISPATCH_MILLIS, stop.signal, async () => {
        if (this.survey.state === 'running') await dispatch(bus.work, this.survey.id, this.#ledger);
        await this.#storing;
        // A segment may be partial where a coordinator died while it stored a cancelled survey.
        const isWhole = this.#ledger.covered === this.plan.size;
        if (this.#ledger.isComplete) await this.#end(isWhole ? 'done' : 'cancelled');
        else if (this.survey.state === 'draining' && this.#isDrained())
          await this.#end('cancelled');
      });
      await watching;
    } catch (error) {
      log.error({ survey: this.survey.id, error: describeError(error) }, 'survey failed');
      stop.abort();
      this.#settle?.reject(error);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** A batch came off the stream; one that is of no use is let go. */
  collect(delivery: ResultDelivery): void {
    const { shard } = delivery.batch;
    if (this.#stop.signal.aborted && !isOver(this.survey.state)) return; // failed: keep it in the stream
    const isUseless = isOver(this.survey.state) || this.#ledger.isStored(shard);
    if (isUseless || shard >= this.plan.shardCount) {
      delivery.stored();
      return;
    }
    this.#collector.add(delivery);
    const lease = this.#ledger.leaseOf(shard);
    if (lease !== undefined) this.#storeIfReady(lease);
  }

  /** Answers the part of a heartbeat that is about this survey. */
  hear({ agent, at, activities }: Heartbeat): Grant | undefined {
    const activity = activities.find(({ survey }) => survey === this.survey.id);
    if (activity === undefined || isOver(this.survey.state)) return undefined;
    const now = this.#parts.clock.monotonic();
    const { rate, replies, equipment } = activity;
    this.#roster.see(agent, { rate, replies, equipment, seenAt: now });
    this.#warnOfDrops();
    const wants = activity.wants && this.survey.state === 'running';
    return this.#governor.answer(agent, { ...activity, wants }, at, now);
  }

  /** What became of a target. @param target of which `port` may be any */
  async fateOf(target: Target): Promise<TargetFate> {
    const position = this.plan.positionOf(target);
    if (position < 0) return unplannedFate(target, await this.#rules());
    const shard = Math.floor(position / this.plan.shardLength);
    const reports = this.#outcomes.get(shard)?.reports ?? this.#ledger.leaseOf(shard)?.reports;
    const isStored = this.#ledger.isStored(shard);
    const row = isStored ? await this.segments.rowAt(shard, position) : undefined;
    const { report } = this.survey;
    return plannedFate(target, { position, shard, reports, isStored, row, report });
  }

  /** Stops the survey: what has been sent is settled and stored first, unless `immediately`. */
  async cancel(immediately: boolean): Promise<void> {
    this.#isImmediate ||= immediately;
    if (this.survey.state === 'running') await this.#become('draining');
  }

  get status(): SurveyStatus {
    const { survey, plan } = this;
    const ledger = this.#ledger;
    const { sent, ...totals } = ledger.totals;
    return {
      survey: survey.id,
      name: survey.name,
      state: survey.state,
      targets: plan.size,
      sent,
      covered: ledger.covered,
      coverage: ledger.covered / plan.size,
      budget: survey.rate,
      ...totals,
      ...this.#roster.summary(this.#parts.clock.monotonic()),
      shards: plan.shardCount,
      stored: ledger.stored,
      rows: ledger.rows,
      startedAt: survey.createdAt,
      endedAt: this.#endedAt,
    };
  }

  /** Takes over what is on disk of a survey that is over, so that it can be asked about. */
  async recall(): Promise<void> {
    const { segments } = this.#parts;
    for (const outcome of await readOutcomes(segments.disk, segments.folder)) {
      const { shard, reports, rows } = outcome;
      const lease: Lease = { survey: this.survey.id, shard, state: 'settled', reports };
      this.#ledger.leased(lease);
      this.#note(lease, rows);
    }
    const ends = [...this.#outcomes.values()].flatMap(({ reports }) =>
      reports.map(({ updatedAt }) => updatedAt),
    );
    this.#endedAt = ends.reduce((latest, at) => Math.max(latest, at), this.survey.createdAt);
  }

  async #rules(): Promise<Rules | undefined> {
    const bytes = await this.#parts.bus.spaces.get(this.survey.rulesHash);
    return bytes && rulesFromBytes(bytes);
  }

  /** What a coordinator before us stored, and what the agents did meanwhile. */
  async #restore(): Promise<void> {
    const { bus, segments } = this.#parts;
    for (const shard of await segments.stored()) {
      const found = await bus.leases.read(this.survey.id, shard);
      if (found === undefined) continue; // stored without a lease: it is probed and stored again
      this.#ledger.leased(found.value);
      this.#note(found.value, await segments.countRows(shard));
    }
  }

  async #followLeases(signal: AbortSignal): Promise<void> {
    for await (const lease of this.#parts.bus.leases.watch(this.survey.id, signal)) {
      if (lease.shard >= this.plan.shardCount || this.#ledger.isStored(lease.shard)) continue;
      this.#ledger.leased(lease);
      this.#storeIfReady(lease);
    }
  }

  #storeIfReady(lease: Lease): void {
    if (lease.state !== 'settled' || !this.#collector.hasAll(lease)) return;
    this.#storing = this.#storing.then(() => this.#store(lease));
    this.#storing.catch(() => {}); // the next beat of `run` meets it
  }

  async #store(lease: Lease): Promise<void> {
    if (this.#ledger.isStored(lease.shard)) return;
    const shard = this.plan.shard(lease.shard);
    const places = this.#collector.assemble(lease, shard);
    const { plan } = this;
    const rows = places.map(({ batch, row }) => rowOf(plan, batch, row));
    await this.#parts.segments.write(shard.number, rows);
    this.#collector.release(shard.number);
    this.#note(lease, rows.length);
    this.#parts.log.debug({ survey: this.survey.id, shard: shard.number }, 'shard stored');
  }

  /** The segment of a leased shard is durable. */
  #note(lease: Lease, rows: number): void {
    const { number, from, to } = this.plan.shard(lease.shard);
    const covered = settledOf(lease, { number, from, to });
    this.#ledger.storedNow({ shard: number, covered: covered - from, rows });
    const { reports } = lease;
    this.#outcomes.set(number, { shard: number, from, to, covered, rows, reports });
  }

  /** Whether nobody is still settling: each lease has ended, or its holder has. */
  #isDrained(): boolean {
    if (this.#isImmediate) return true;
    const now = this.#parts.clock.monotonic();
    if (now < this.#calmFrom) return false;
    return this.#ledger.underWay.every((lease) => {
      const holder = holderOf(lease);
      const isGone = holder === undefined || !this.#roster.isPresent(holder, now);
      return isGone && this.#collector.hasAll(lease);
    });
  }

  async #end(state: SurveyState): Promise<void> {
    const { bus, clock, segments, version, log } = this.#parts;
    if (state === 'cancelled') await this.#storeSettled();
    this.#endedAt = clock.wall();
    this.survey = { ...this.survey, state };
    const outcomes = [...this.#outcomes.values()].sort((a, b) => a.shard - b.shard);
    const output = { module: segments.sink.name, folder: segments.folder };
    const { survey, plan, status } = this;
    const equipmentOf = (agent: string) => this.#roster.equipmentOf(agent);
    const manifest = { survey, plan, status, outcomes, output, version, equipmentOf };
    await writeManifest(segments.disk, segments.folder, manifest);
    // Over for everyone only once the manifest stands: a crash before this does it again.
    await bus.surveys.put(survey);
    this.#collector.releaseAll();
    await bus.leases.forget(survey.id);
    log.info({ survey: survey.id, state, covered: status.covered }, 'survey ended');
    this.#stop.abort();
    this.#settle?.resolve(status);
  }

  /** Once: from here on silence may be ours and not the targets'. */
  #warnOfDrops(): void {
    const { status } = this;
    if (this.#hasWarned || alarmingDrops(status) === 0) return;
    this.#hasWarned = true;
    const { survey, received, dropped } = status;
    this.#parts.log.warn({ survey, received, dropped }, 'captures drop replies: lower the rate');
  }

  /** What was settled of shards that nobody will finish. */
  async #storeSettled(): Promise<void> {
    for (const lease of this.#ledger.underWay) {
      const shard = this.plan.shard(lease.shard);
      const hasSettled = settledOf(lease, shard) > shard.from;
      if (hasSettled && this.#collector.hasAll(lease)) await this.#store(lease);
    }
  }

  async #become(state: SurveyState): Promise<void> {
    this.survey = { ...this.survey, state };
    await this.#parts.bus.surveys.put(this.survey);
  }
}
