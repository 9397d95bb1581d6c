/**
 * Turns leases and result batches into stored shards:
 *
 *     leases ─▶ table: settled? ┐
 *     batches ─▶ collector: all?  ┴▶ rows durable ─▶ journal ─▶ table: covered ─▶ batches acknowledged
 *
 * While a shard cannot be made durable (usually because the disk is full), `problem` says why, storing is
 * retried, and the batches stay in the stream. While shards settle faster than they can be stored,
 * back-pressure stops sending.
 */
import type { Clock } from '../../shared/base/clock.js';
import { describeError } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { ResultDelivery } from '../../shared/bus/interfaces.js';
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import { type Lease, settledUpToOf } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { emptyColumns, type ResultBatch, reasonUnwritable } from '../../shared/survey/results.js';
import type { Log } from '../../shared/telemetry/log.js';
import { BackPressure } from './back-pressure.js';
import { BatchCollector } from './batch-collector.js';
import { batchWithForgedRow, type KeyOf } from './forged-rows.js';
import type { JournalLines } from './journal.js';
import { type ManifestFacts, writeManifest } from './manifest.js';
import type { ShardRows } from './shard-rows.js';
import { holderOf, ShardTable } from './shard-table.js';
import { STORE_RETRY_MILLIS, StorageProblem } from './storage-problem.js';
import type { SurveyFolder } from './survey-folder.js';

/** Shards that are stored concurrently. */
const CONCURRENCY = 8;
const BEHIND = 'results come faster than they can be stored; sending waits until fewer are left';

export interface ShardStorerDeps {
  readonly survey: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly folder: SurveyFolder;
  /** The keys of the survey's leases. */
  readonly keyOf: KeyOf;
  /** Called instead of storing a shard, if one of its rows was forged: its epoch must be probed again. */
  readonly onForged: (lease: Lease, batch: ResultBatch) => void;
  /** Called with each shard that is complete; if false, it waits until `storeHeld`, or until it is rewound. */
  readonly mayStore?: (lease: Lease, rowCount: number) => boolean;
  readonly onCrossCheck?: JournalLines['onCrossCheck'];
  /** Called when `problem` changes. */
  readonly onProblemChange: () => void;
  /** Rows of settled shards that may wait to be stored. */
  readonly rowsWaitingMax?: number;
}

export class ShardStorer {
  readonly table: ShardTable;
  readonly #plan: Plan;
  readonly #set: ProbeSet;
  readonly #deps: ShardStorerDeps;
  readonly #collector = new BatchCollector();
  readonly #backPressure: BackPressure;
  /** Settled shards whose batches have all arrived, and those that are being stored. */
  readonly #ready = new Set<number>();
  readonly #storing = new Map<number, Promise<void>>();
  readonly #problem: StorageProblem;
  /** Batches with rows that cannot be written. */
  batchesSetAside = 0;
  /** Batches in the stream that have not been delivered yet, as of the last delivery. */
  #batchesRemaining = 0;
  #isClosing = false;
  #isClosed = false;
  #isOver = false;

  constructor(plan: Plan, set: ProbeSet, deps: ShardStorerDeps) {
    this.#plan = plan;
    this.#set = set;
    this.#deps = deps;
    this.table = new ShardTable(plan.shardCount);
    const { rowsWaitingMax = LIMITS.rowsWaiting } = deps;
    this.#backPressure = new BackPressure(rowsWaitingMax, () => this.#onBackPressure());
    this.#problem = new StorageProblem({ ...deps, onChange: deps.onProblemChange });
  }

  /** The reason why sending must wait; empty if nothing prevents storing. */
  get problem(): string {
    return this.#problem.text || (this.#backPressure.isActive ? BEHIND : '');
  }

  /** Rows that wait to be stored. */
  get rowsWaiting(): number {
    return this.#backPressure.rows;
  }
  get isIdle(): boolean {
    return this.#storing.size === 0;
  }

  /** Reads which shards an earlier coordinator stored; retries while the disk is full. */
  async restore(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const entry of this.#deps.folder.restore(this.#deps)) {
          if (!this.table.isStored(entry.shard)) this.table.onStored(entry);
        }
        this.#problem.onSuccess();
        return;
      } catch (error) {
        this.#problem.onError(error);
        this.throwFailure();
        await this.#deps.clock.sleep(STORE_RETRY_MILLIS, signal);
      }
    }
  }

  /**
   * Takes a batch from the stream. A batch that is not needed is acknowledged at once. A batch that cannot be
   * written counts as arrived, but its rows are left out. After `close`, batches stay in the stream.
   * @returns whether the batch's rows may be stored
   */
  onBatch(delivery: ResultDelivery): boolean {
    const { batch } = delivery;
    const { shard } = batch;
    if (this.#isClosed && !this.#isOver) return false;
    this.#batchesRemaining = delivery.remaining;
    if (this.#isOver || this.table.isStored(shard) || shard >= this.#plan.shardCount) {
      delivery.acknowledge();
      return false;
    }
    const lease = this.table.leaseOf(shard);
    const unwritable = reasonUnwritable(batch);
    const { from, to } = this.#plan.shard(shard);
    const content = unwritable === undefined ? batch : { ...batch, columns: emptyColumns() };
    const isKept = this.#collector.add(
      { ...delivery, batch: content },
      { lease, positions: to - from },
    );
    if (!isKept) delivery.acknowledge();
    else if (unwritable !== undefined) this.#setAside(batch, unwritable);
    if (lease !== undefined) this.#storeIfComplete(lease);
    return isKept && unwritable === undefined;
  }

  /**
   * Records that a lease was opened, reported, revoked or ended, and stores its shard if that is complete now.
   * @param revision of its record, if it was read
   */
  onLease(lease: Lease, revision?: number): void {
    this.table.onLease(lease, this.#deps.clock.monotonic(), revision);
    const current = this.table.leaseOf(lease.shard);
    if (current !== undefined) this.#storeIfComplete(current);
  }

  /** Stores a complete shard for which `mayStore` was false before. */
  storeHeld(lease: Lease): void {
    this.#storeIfComplete(lease);
  }

  /** The rows of a complete shard. */
  rowsOf(lease: Lease): ShardRows {
    return this.#collector.rowsOf(lease, this.#plan.shard(lease.shard));
  }

  /** The index of a lease's first epoch with a batch that the stream lost; undefined if none is known. */
  epochWithLostBatch(lease: Lease): number | undefined {
    return this.#batchesRemaining > 0 ? undefined : this.#collector.firstIncompleteEpoch(lease);
  }

  /** True once nothing more will be settled: no lease has a live holder, and all its batches have arrived. */
  isDrained(isServing: (agent: string) => boolean): boolean {
    return this.table.leases.every((lease) => {
      const holder = holderOf(lease);
      const isReleased = holder === undefined || !isServing(holder);
      return isReleased && this.#collector.hasAll(lease);
    });
  }

  /** Starts to store complete shards, unless a failed attempt must wait before it is retried. */
  storeReady(): void {
    if (this.#isClosing || this.#problem.mustWait) return;
    for (const shard of this.#ready) {
      if (this.#storing.size >= CONCURRENCY) return;
      this.#ready.delete(shard);
      const lease = this.table.leaseOf(shard);
      // It may be stored already, or rewound.
      if (lease?.state !== 'settled') this.#backPressure.set(shard, 0);
      else this.#storing.set(shard, this.#storeOrRetry(lease));
    }
  }

  /** Stores the settled part of shards that no agent will finish. @throws Fault UNWRITABLE */
  async storeSettled(): Promise<void> {
    this.#isClosing = true; // nothing else is stored from now on
    try {
      await Promise.all(this.#storing.values());
      for (const { shard: number } of this.table.leases) {
        const lease = this.table.leaseOf(number);
        const shard = this.#plan.shard(number);
        if (lease === undefined || settledUpToOf(lease, shard) === shard.from) continue;
        if (this.#collector.hasAll(lease)) await this.#store(lease);
      }
    } catch (error) {
      this.#isClosing = false;
      throw error;
    }
  }

  /** Stops storing for good. Called when the survey has failed or this coordinator no longer leads. */
  close(problem = ''): void {
    this.#isClosing = true;
    this.#isClosed = true;
    this.#problem.text ||= problem;
  }

  /** Writes the manifest. @throws Fault UNWRITABLE */
  async writeManifest(known: ManifestFacts) {
    const { agents, incomplete, findings } = this.table;
    const parts = { ...known, plan: this.#plan, agents, incomplete, findings: findings.all };
    await writeManifest(this.#deps.folder, parts);
  }

  /** Resolves once no write is in progress. */
  async flushed(): Promise<void> {
    await Promise.all(this.#storing.values());
    await this.#deps.folder.flushed();
  }

  /** Called when the survey is over: removes its batches from the stream, those left and later ones. */
  end(): void {
    this.#isOver = true;
    this.#collector.acknowledgeAll();
  }

  /** @throws an error that retrying cannot fix, if there was one */
  throwFailure(): void {
    this.#problem.throwFailure();
  }

  #storeIfComplete(lease: Lease): void {
    const { shard, state } = lease;
    if (state !== 'settled' || this.#storing.has(shard) || !this.#collector.hasAll(lease)) return;
    const rowCount = this.#collector.rowCount(shard);
    if (this.#deps.mayStore?.(lease, rowCount) === false) return;
    this.#ready.add(shard);
    this.#backPressure.set(shard, rowCount);
    this.storeReady();
  }

  #setAside({ shard, epoch, serial, agent }: ResultBatch, reason: string): void {
    const { log, survey } = this.#deps;
    this.batchesSetAside++;
    log.error(
      { survey, shard, epoch, serial, agent, reason },
      'result batch cannot be written; its rows are left out',
    );
  }

  #onBackPressure(): void {
    const { log, survey, onProblemChange } = this.#deps;
    const { rows, isActive } = this.#backPressure;
    log.info({ survey, rows }, isActive ? BEHIND : 'storing has caught up; sending resumes');
    onProblemChange();
  }

  async #storeOrRetry(lease: Lease): Promise<void> {
    try {
      await this.#store(lease);
    } catch (error) {
      this.#ready.add(lease.shard);
      this.#problem.onError(error);
    } finally {
      this.#storing.delete(lease.shard);
      this.storeReady();
    }
  }

  /** Writes the rows, then the journal line. @throws Fault UNWRITABLE or DEPOSED if the shard is not stored */
  async #store(lease: Lease): Promise<void> {
    const { log, folder, keyOf, onForged } = this.#deps;
    const { survey, shard } = lease;
    const rows = this.rowsOf(lease);
    const forged = batchWithForgedRow(rows, this.#plan, this.#set, keyOf);
    if (forged !== undefined) {
      this.#backPressure.set(shard, 0);
      onForged(lease, forged);
      return;
    }
    const { segments, journal } = folder;
    const segment =
      rows.count > 0 && (await segments.write(shard, rows.sources(this.#plan, this.#set)));
    if (!segment) await segments.clear(shard);
    const entry = { ...rows.journalEntry(lease), ...(segment && { segment }) };
    await journal.add(entry);
    this.#collector.acknowledge(shard);
    this.#backPressure.set(shard, 0);
    this.table.onStored(entry);
    this.#problem.onSuccess();
    log.debug({ survey, shard }, 'shard stored');
    const areStored = (from: number, to: number) => this.table.areStored(from, to);
    folder.compact(shard, areStored, (error) => {
      log.warn({ survey, error: describeError(error) }, 'failed to merge segments');
    });
  }
}
