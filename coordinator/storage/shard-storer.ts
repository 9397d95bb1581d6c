/**
 * Where batches and leases become stored shards:
 *
 *     leases ─▶ ledger: settled? ┐
 *     batches ─▶ collector: all? ┴▶ rows durable ─▶ journal ─▶ ledger: covered ─▶ batches let go
 *
 * Where a shard cannot be made durable (a full disk, above all), the archive is in trouble until one
 * can; what is not stored stays in the stream. Where shards come faster than they can be stored, it is in
 * trouble until it has caught up: rows that wait are held in memory.
 */
import type { Clock } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { ResultDelivery, Versioned } from '../../shared/bus/interfaces.js';
import { type Lease, settledUpToOf } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { emptyColumns, type ResultBatch, reasonUnwritable } from '../../shared/survey/results.js';
import type { Log } from '../../shared/telemetry/log.js';
import { BatchCollector } from './batch-collector.js';
import { type ManifestContent, writeManifest } from './manifest.js';
import { holderOf, ShardTracker } from './shard-tracker.js';
import type { SurveyFolder } from './survey-folder.js';

/** What could not be written is tried again after this. */
const STALL_MILLIS = 2000;
/** Shards that are being stored at once. */
const STORING_MAX = 8;
/** How long it takes at most until a coordinator that begins has heard of all leases. */
const LEASES_MILLIS = 30_000;
const BEHIND = 'results come faster than they can be stored; sending waits until they are';

export interface ShardStorerDeps {
  readonly survey: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly surveyFolder: SurveyFolder;
  /** The trouble began, changed or is over. */
  readonly onTrouble: () => void;
  /** Rows of settled shards that may wait to be stored. */
  readonly rowsWaitingMax?: number;
}

export class ShardStorer {
  readonly tracker: ShardTracker;
  readonly surveyFolder: SurveyFolder;
  readonly #plan: Plan;
  readonly #parts: ShardStorerDeps;
  readonly #collector = new BatchCollector();
  /** Settled shards whose batches are here, and those that are being stored. */
  readonly #ready = new Map<number, Lease>();
  readonly #storing = new Map<number, Promise<void>>();
  /** Rows that these have, by shard, and all of them. */
  readonly #rowsOf = new Map<number, number>();
  #rowsWaiting = 0;
  #isBehind = false;
  /** Batches whose rows cannot be written. */
  batchesSetAside = 0;
  /** Why nothing can be stored; empty where it can. */
  #obstacle = '';
  /** Batches that are in the stream and have not come yet, as the last one said. */
  #batchesLeft = 0;
  #stalledUntil = 0;
  /** Our monotonic clock: what the broker knew of leases when we began has reached us by then. */
  readonly #leasesKnownFrom: number;
  #failure: unknown;
  #isClosing = false;

  constructor(plan: Plan, deps: ShardStorerDeps) {
    this.#plan = plan;
    this.#parts = deps;
    this.surveyFolder = deps.surveyFolder;
    this.tracker = new ShardTracker(plan.shardCount);
    this.#leasesKnownFrom = deps.clock.monotonic() + LEASES_MILLIS;
  }

  /** Why nobody may send; empty where nothing keeps us from storing what they find. */
  get problem(): string {
    return this.#obstacle || (this.#isBehind ? BEHIND : '');
  }

  get isIdle(): boolean {
    return this.#storing.size === 0;
  }

  /** Takes up what a coordinator before us stored; a disk that is full is waited for. */
  async restore(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const entry of this.surveyFolder.restore()) {
          if (!this.tracker.isStored(entry.shard)) this.tracker.onStored(entry);
        }
        this.#recover();
        return;
      } catch (error) {
        this.#stall(error);
        this.refuseFailure();
        await this.#parts.clock.sleep(STALL_MILLIS, signal);
      }
    }
  }

  /**
   * A batch came off the stream; one that is of no use is let go, and one that cannot be written counts as
   * here, without its rows. @returns whether its rows may count
   */
  collect(delivery: ResultDelivery): boolean {
    const { shard } = delivery.batch;
    this.#batchesLeft = delivery.remaining;
    if (this.tracker.isStored(shard) || shard >= this.#plan.shardCount) {
      delivery.acknowledge();
      return false;
    }
    const lease = this.tracker.leaseOf(shard);
    const reason = reasonUnwritable(delivery.batch);
    const { from, to } = this.#plan.shard(shard);
    const here =
      reason === undefined ? delivery : { ...delivery, batch: withoutRows(delivery.batch) };
    const areLeasesKnown = this.#parts.clock.monotonic() > this.#leasesKnownFrom;
    const isKept = this.#collector.add(here, { lease, positions: to - from, areLeasesKnown });
    if (!isKept) delivery.acknowledge();
    else if (reason !== undefined) this.#setAside(delivery.batch, reason);
    if (lease !== undefined) this.#storeIfComplete(lease);
    return isKept && reason === undefined;
  }

  /** A lease was opened, checkpointed or ended. */
  leased(lease: Versioned<Lease>): void {
    const { shard } = lease.value;
    if (shard >= this.#plan.shardCount) return;
    this.tracker.onLease(lease, this.#parts.clock.monotonic());
    const current = this.tracker.leaseOf(shard);
    if (current !== undefined) this.#storeIfComplete(current);
  }

  /** The first report of a lease of which the stream has lost a batch, as far as can be told. */
  epochWithLostBatch(lease: Lease): number | undefined {
    return this.#batchesLeft > 0 ? undefined : this.#collector.firstIncompleteEpoch(lease);
  }

  /** Whether nobody is still settling: each lease has ended, or its holder has, and its batches are here. */
  isDrained(isPresent: (agent: string) => boolean): boolean {
    return this.tracker.leases.every((lease) => {
      const holder = holderOf(lease);
      const isGone = holder === undefined || !isPresent(holder);
      return isGone && this.#collector.hasAll(lease);
    });
  }

  /** Begins to store what is ready, unless nothing can be stored at the moment. */
  storeReady(): void {
    if (this.#isClosing || this.#parts.clock.monotonic() < this.#stalledUntil) return;
    for (const [shard, lease] of this.#ready) {
      if (this.#storing.size >= STORING_MAX) return;
      this.#ready.delete(shard);
      if (this.tracker.isStored(shard)) this.#countWaitingRows(shard, 0);
      else this.#storing.set(shard, this.#storeOrStall(lease));
    }
  }

  /** Stores what was settled of shards that nobody will finish. @throws Fault UNWRITABLE */
  async storeSettled(): Promise<void> {
    this.#isClosing = true; // nothing else is stored from now on: each shard as it stands
    try {
      await Promise.all(this.#storing.values());
      for (const { shard: number } of this.tracker.leases) {
        const lease = this.tracker.leaseOf(number);
        const shard = this.#plan.shard(number);
        if (lease === undefined || settledUpToOf(lease, shard) === shard.from) continue;
        if (this.#collector.hasAll(lease)) await this.#store(lease);
      }
    } catch (error) {
      this.#isClosing = false;
      throw error;
    }
  }

  /** Nothing more is stored: the survey has failed, or this coordinator is no longer the one. */
  close(problem = ''): void {
    this.#isClosing = true;
    this.#obstacle ||= problem;
  }

  /** Writes the manifest. @throws Fault UNWRITABLE */
  async conclude(known: Pick<ManifestContent, 'survey' | 'status' | 'version' | 'ioStatsOf'>) {
    const { agents, incomplete } = this.tracker;
    const { disk, folder } = this.surveyFolder;
    await writeManifest(disk, folder, { ...known, plan: this.#plan, agents, incomplete });
  }

  /** Until nothing is being written any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#storing.values());
    await this.surveyFolder.settled();
  }

  /** The survey is over: what is still here is of no use. */
  dropAll(): void {
    this.#collector.dropAll();
  }

  /** @throws what went wrong that waiting will not mend */
  refuseFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #storeIfComplete(lease: Lease): void {
    if (lease.state !== 'settled' || this.#storing.has(lease.shard)) return;
    if (!this.#collector.hasAll(lease)) return;
    this.#ready.set(lease.shard, lease);
    this.#countWaitingRows(lease.shard, this.#collector.rowsOf(lease.shard));
    this.storeReady();
  }

  #setAside({ shard, epoch, serial, agent }: ResultBatch, reason: string): void {
    const { log, survey } = this.#parts;
    this.batchesSetAside++;
    log.error(
      { survey, shard, epoch, serial, agent, reason },
      'a batch cannot be written; set aside',
    );
  }

  /** Takes note of the rows that wait to be stored; too many are trouble, until half of them are. */
  #countWaitingRows(shard: number, rows: number): void {
    this.#rowsWaiting += rows - (this.#rowsOf.get(shard) ?? 0);
    if (rows === 0) this.#rowsOf.delete(shard);
    else this.#rowsOf.set(shard, rows);
    const { rowsWaitingMax = LIMITS.rowsWaiting, log, survey, onTrouble } = this.#parts;
    const isBehind = this.#rowsWaiting > (this.#isBehind ? rowsWaitingMax / 2 : rowsWaitingMax);
    if (isBehind === this.#isBehind) return;
    this.#isBehind = isBehind;
    log.info({ survey, rows: this.#rowsWaiting }, isBehind ? BEHIND : 'results have been stored');
    onTrouble();
  }

  async #storeOrStall(lease: Lease): Promise<void> {
    try {
      await this.#store(lease);
    } catch (error) {
      this.#ready.set(lease.shard, lease);
      this.#stall(error);
    } finally {
      this.#storing.delete(lease.shard);
      this.storeReady();
    }
  }

  async #store(lease: Lease): Promise<void> {
    const { log } = this.#parts;
    const shardRows = this.#collector.rowsOfShard(lease, this.#plan.shard(lease.shard));
    const entry = await this.surveyFolder.store(this.#plan, lease, shardRows);
    this.#collector.release(lease.shard);
    this.#countWaitingRows(lease.shard, 0);
    this.tracker.onStored(entry);
    this.#recover();
    log.debug({ survey: lease.survey, shard: lease.shard }, 'shard stored');
    const areStored = (from: number, to: number) => this.tracker.areStored(from, to);
    this.surveyFolder.compact(lease.shard, areStored, (error) => {
      log.warn({ survey: lease.survey, error: describeError(error) }, 'segments are not merged');
    });
  }

  #recover(): void {
    if (this.#obstacle === '') return;
    this.#obstacle = '';
    this.#parts.log.info({ survey: this.#parts.survey }, 'results can be stored again');
    this.#parts.onTrouble();
  }

  #stall(error: unknown): void {
    if (!(error instanceof Fault && error.code === 'UNWRITABLE')) this.#failure = error;
    this.#stalledUntil = this.#parts.clock.monotonic() + STALL_MILLIS;
    const storageError = `results cannot be stored: ${describeError(error)}`;
    if (this.#obstacle === storageError) return;
    this.#obstacle = storageError;
    this.#parts.log.error({ survey: this.#parts.survey, problem: storageError }, 'survey stalled');
    this.#parts.onTrouble();
  }
}

function withoutRows(batch: ResultBatch): ResultBatch {
  return { ...batch, columns: emptyColumns() };
}
