/**
 * Cross-checks: what an agent has settled is stored only after another agent has probed a part of it again, and has
 * got the same answers. Settled shards of an agent wait in a batch; one of them, drawn at random, is leased once more
 * to another agent, drawn at random, and the rows are compared:
 *
 *     settled ─▶ batch ─▶ one shard is checked ─▶ agrees: all are stored; the next batch is twice as large
 *                                              ├▶ is suspected: another agent, or another shard
 *                                              └▶ is caught: all are probed again by others
 *
 * So a shard that an agent has made up is stored only if its whole batch is, and what is stored is final. The rows of
 * a check are not stored. Checks are in memory only: the next coordinator finds the settled shards, and starts over.
 */
import type { Random } from '../../shared/base/random.js';
import type { NewLease, ShardEpoch, ShardReport } from '../../shared/bus/heartbeat.js';
import type { ResultDelivery } from '../../shared/bus/interfaces.js';
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import { type Lease, lastEpoch } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Log } from '../../shared/telemetry/log.js';
import type { Holder } from '../leases/opened-epoch.js';
import type { CheckEntry, CrossCheckLine, DistrustedAgent } from '../storage/journal.js';
import type { CrossCheckSummary } from '../storage/manifest.js';
import type { ShardRows } from '../storage/shard-rows.js';
import { CheckLease, type CheckLeaseDeps, isCheckEpoch } from './check-lease.js';
import { compareRows } from './compare-rows.js';
import { Disagreements } from './disagreements.js';
import { HeldBatch } from './held-batch.js';

export interface CrossChecksOptions {
  readonly survey: string;
  readonly plan: Plan;
  readonly set: ProbeSet;
  /** One of so many shards of an agent is checked, once it has agreed with others often enough; 0: none. */
  readonly interval: number;
  /** The fencing term of the coordinator. */
  readonly term: number;
  /** Rows that may wait to be checked. */
  readonly rowsMax: number;
}

export interface CrossChecksDeps extends CheckLeaseDeps {
  readonly log: Log;
  readonly random: Random;
  readonly leaseOf: (shard: number) => Lease | undefined;
  readonly rowsOf: (lease: Lease) => ShardRows;
  /** Stores a shard that has waited. */
  readonly store: (lease: Lease) => void;
  readonly onChecked: (check: CheckEntry) => void;
  /** Called if an agent is caught: its unstored shards must be probed again. */
  readonly onCaught: (caught: DistrustedAgent) => void;
}

/** An agent that has asked for work within this time can check others. */
const ALIVE_MILLIS = 3000;
/** If no other agent is there for so long, shards are stored unchecked. */
const PATIENCE_MILLIS = 20_000;
/** Checks of one batch; then it is stored, and each further shard of its agent is checked. */
const CHECKS_MAX = 4;

export class CrossChecks {
  readonly #options: CrossChecksOptions;
  readonly #deps: CrossChecksDeps;
  readonly #disagreements = new Disagreements();
  /** By agent: the batch that still grows, and the number of batches in a row that were agreed about. */
  readonly #growing = new Map<string, HeldBatch>();
  readonly #agreements = new Map<string, number>();
  /** Batches that are being checked. */
  readonly #closed = new Set<HeldBatch>();
  /** The batch of each shard that waits. */
  readonly #batchOf = new Map<number, HeldBatch>();
  /** Shards that may be stored. */
  readonly #passed = new Set<number>();
  /** By shard. */
  readonly #checks = new Map<number, CheckLease>();
  /** When each agent that can work has last asked for work. */
  readonly #askedAt = new Map<string, number>();
  #checksDone = 0;
  #epochs = 0;

  constructor(options: CrossChecksOptions, deps: CrossChecksDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Takes a line of the journal of an earlier coordinator. */
  restore(line: CrossCheckLine): void {
    if ('check' in line) {
      this.#checksDone++;
      this.#disagreements.add(line.check.comparisons);
    } else this.#disagreements.restore(line.distrusted.agent, line.distrusted.reason);
  }

  /** A sentence about an agent that was caught; empty if it was not. */
  distrustOf(agent: string): string {
    return this.#disagreements.reasonOf(agent);
  }

  get summary(): CrossCheckSummary {
    const { agreement, caught } = this.#disagreements;
    return { checks: this.#checksDone, ...agreement, distrusted: Object.fromEntries(caught) };
  }

  /** True if an agent holds a check. */
  isHeldBy(agent: string): boolean {
    return [...this.#checks.values()].some((check) => check.holder === agent);
  }

  /** True if a complete shard may be stored; otherwise it waits, and is stored or rewound later. */
  mayStore(lease: Lease, rowCount: number): boolean {
    const { shard } = lease;
    if (this.#options.interval === 0 || this.#passed.has(shard)) return true;
    if (this.#batchOf.has(shard)) return false;
    const agent = lastEpoch(lease)?.agent ?? '';
    const batch = this.#growing.get(agent) ?? new HeldBatch(agent);
    this.#growing.set(agent, batch);
    batch.add(shard, rowCount);
    this.#batchOf.set(shard, batch);
    return false;
  }

  /** Takes the rows of a check. @returns false if the batch is not one of a check */
  onBatch(delivery: ResultDelivery): boolean {
    const { shard, epoch } = delivery.batch;
    if (!isCheckEpoch(epoch)) return false;
    this.#checks.get(shard)?.onBatch(delivery);
    delivery.acknowledge(); // a check that is lost is repeated
    this.#concludeIfComplete(shard);
    return true;
  }

  /** Takes an agent's reports of checks. @returns those that it does not hold */
  report(agent: string, reports: readonly ShardReport[]): readonly ShardEpoch[] {
    const lost: ShardEpoch[] = [];
    const reported = new Set<number>();
    for (const report of reports) {
      const { shard, epoch } = report;
      reported.add(shard);
      const check = this.#checks.get(shard);
      const violation = check?.isHeld(agent, epoch) ? check.take(report) : undefined;
      if (violation !== undefined)
        this.#deps.onViolation(agent, `check of shard ${shard}: ${violation}`);
      if (!check?.isHeld(agent, epoch)) lost.push({ survey: this.#options.survey, shard, epoch });
      else this.#concludeIfComplete(shard);
    }
    // An agent reports all that it holds: its process was restarted, or the answer that leased it was lost.
    for (const [shard, check] of this.#checks)
      if (check.holder === agent && !reported.has(shard)) check.release();
    return lost;
  }

  /** The checks that an agent is to do, which has asked for work. */
  open(holder: Holder): readonly NewLease[] {
    this.#askedAt.set(holder.agent, this.#deps.clock.monotonic());
    const due = [...this.#checks.values()].filter((check) => check.isFor(holder.agent));
    return due.map((check) => check.open(holder, this.#nextEpoch()));
  }

  /** Called often. @param isFullyLeased true if no batch will grow soon, because no shard is left */
  step(isFullyLeased: boolean): void {
    for (const [agent, batch] of this.#growing) {
      batch.keep((shard) => this.#isWaiting(shard));
      if (!isFullyLeased && !batch.isFull(this.#sizeFor(agent), this.#rowsPerAgent)) continue;
      this.#growing.delete(agent);
      this.#closed.add(batch);
    }
    for (const batch of this.#closed) this.#advance(batch);
    for (const shard of this.#passed)
      if (this.#deps.leaseOf(shard)?.state !== 'settled') this.#passed.delete(shard);
  }

  /** Shards of an agent of which one is checked: more, the longer it has agreed with others. */
  #sizeFor(agent: string): number {
    return Math.min(this.#options.interval, 2 ** (this.#agreements.get(agent) ?? 0));
  }

  get #rowsPerAgent(): number {
    return this.#options.rowsMax / Math.max(1, this.#growing.size + this.#closed.size);
  }

  #isWaiting(shard: number): boolean {
    const isSettled = this.#deps.leaseOf(shard)?.state === 'settled';
    if (!isSettled) this.#batchOf.delete(shard);
    return isSettled;
  }

  /** Sees to it that a batch has a check, and that somebody does it. */
  #advance(batch: HeldBatch): void {
    batch.keep((shard) => this.#isWaiting(shard));
    if (batch.size === 0) {
      this.#closed.delete(batch);
      return;
    }
    const shard = batch.checking ?? this.#draw(batch.shards);
    const lease = shard === undefined ? undefined : this.#deps.leaseOf(shard);
    if (shard === undefined || lease === undefined) return;
    batch.checking = shard;
    const check = this.#checks.get(shard) ?? this.#newCheck(shard);
    this.#checks.set(shard, check);
    const now = this.#deps.clock.monotonic();
    const isAlive = (agent: string) =>
      now - (this.#askedAt.get(agent) ?? -ALIVE_MILLIS) < ALIVE_MILLIS;
    if (check.isAtWork(isAlive)) return;
    const others = [...this.#askedAt.keys()].filter(
      (agent) =>
        isAlive(agent) &&
        !batch.hasOpinionOf(shard, agent) &&
        lease.epochs.every((epoch) => epoch.agent !== agent) &&
        this.distrustOf(agent) === '',
    );
    const chosen = this.#draw(others);
    if (chosen !== undefined) check.assign(chosen);
    else if (now - check.requestedAt > PATIENCE_MILLIS) this.#pass(batch, false);
  }

  #newCheck(shard: number): CheckLease {
    const { survey, plan, term } = this.#options;
    return new CheckLease({ survey, term, shard: plan.shard(shard) }, this.#deps);
  }

  #concludeIfComplete(shard: number): void {
    const check = this.#checks.get(shard);
    const batch = this.#batchOf.get(shard);
    const lease = this.#deps.leaseOf(shard);
    if (check?.isComplete !== true) return;
    this.#checks.delete(shard);
    if (batch === undefined || lease?.state !== 'settled') return;
    const { plan, set } = this.#options;
    const { checker, rows: checked, probesSent } = check.result(plan, set);
    if (checked === undefined) return; // with a forged row
    const rows = this.#deps.rowsOf(lease);
    const common = { plan, set, shard, checker, checked };
    const comparisons = compareRows({ ...common, epochs: lease.epochs, rows });
    for (const { agent, rows: earlier } of batch.opinionsOn(shard)) {
      const { from, to } = plan.shard(shard);
      const epochs = [{ agent, from, settledUpTo: to }];
      comparisons.push(...compareRows({ ...common, epochs, rows: earlier }));
    }
    batch.addOpinion(shard, { agent: checker, rows: checked });
    this.#checksDone++;
    this.#deps.onChecked({ shard, checker, probesSent, comparisons });
    const caught = this.#disagreements.add(comparisons);
    for (const agent of caught) this.#deps.onCaught({ agent, reason: this.distrustOf(agent) });
    this.#judge(batch);
    if (caught.length > 0) for (const each of this.#closed) this.#judge(each);
  }

  /** Decides about a batch of which a check is done. */
  #judge(batch: HeldBatch): void {
    batch.keep((shard) => this.#isWaiting(shard));
    if (batch.checks === 0 || batch.size === 0) return;
    const isSuspected = this.#disagreements.isSuspected(batch.agent);
    if (!isSuspected) this.#pass(batch, true);
    else if (batch.checks >= CHECKS_MAX) this.#pass(batch, false);
    // First another opinion about the same shard, which says who of both is wrong; then another shard.
    else if (batch.opinionsOn(batch.checking ?? -1).length >= 2) batch.checking = undefined;
  }

  /** Lets the shards of a batch be stored. */
  #pass(batch: HeldBatch, isAgreed: boolean): void {
    const { agent } = batch;
    this.#agreements.set(agent, isAgreed ? (this.#agreements.get(agent) ?? 0) + 1 : 0);
    if (!isAgreed) {
      const { survey } = this.#options;
      const details = { survey, agent, shards: batch.size, checks: batch.checks };
      this.#deps.log.warn(details, 'shards are stored although no other agent confirms them');
    }
    this.#closed.delete(batch);
    for (const shard of batch.shards) {
      this.#batchOf.delete(shard);
      this.#checks.delete(shard);
      this.#passed.add(shard);
      const lease = this.#deps.leaseOf(shard);
      if (lease !== undefined) this.#deps.store(lease);
    }
  }

  #nextEpoch(): number {
    return this.#epochs++;
  }

  #draw<Item>(items: readonly Item[]): Item | undefined {
    const [a = 0, b = 0] = this.#deps.random.bytes(2);
    return items[(256 * a + b) % Math.max(1, items.length)];
  }
}
