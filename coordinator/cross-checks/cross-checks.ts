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
import type { NewLease, ShardEpoch, ShardReport } from '../../shared/bus/heartbeat.js';
import type { ResultDelivery } from '../../shared/bus/interfaces.js';
import type { CrossCheckLine, DistrustedAgent } from '../../shared/survey/cross-check-lines.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Holder } from '../leases/opened-epoch.js';
import type { CrossCheckSummary } from '../storage/manifest.js';
import { AvailableAgents } from './available-agents.js';
import { CheckLease, isCheckEpoch } from './check-lease.js';
import { compareOpinions } from './compare-rows.js';
import { Disagreements } from './disagreements.js';
import { HeldBatch } from './held-batch.js';
import type { CrossChecksDeps, CrossChecksOptions } from './interfaces.js';

/** If no other agent is there for so long, shards are stored unchecked. */
const PATIENCE_MILLIS = 20_000;
/** Checks of one batch; then it is stored, and each further shard of its agent is checked. */
const CHECKS_MAX = 4;

export class CrossChecks {
  readonly #options: CrossChecksOptions;
  readonly #deps: CrossChecksDeps;
  readonly #disagreements = new Disagreements();
  /** Agents that were caught by an earlier coordinator. */
  readonly #recorded = new Set<string>();
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
  readonly #agents: AvailableAgents;
  #checksDone = 0;
  #unconfirmed = 0;
  #epochs = 0;

  constructor(options: CrossChecksOptions, deps: CrossChecksDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#agents = new AvailableAgents(deps.clock);
  }

  /** Takes a line of the journal of an earlier coordinator. */
  restore(line: CrossCheckLine): void {
    if ('check' in line) {
      this.#checksDone++;
      this.#disagreements.add(line.check.comparisons);
    } else if ('unconfirmed' in line) this.#unconfirmed += line.unconfirmed.shards;
    else {
      this.#disagreements.restore(line.distrusted.agent, line.distrusted.reason);
      this.#recorded.add(line.distrusted.agent);
    }
  }

  /** The agents that were caught by then, and those of them that are not in the journal yet. */
  get restored(): {
    readonly caught: readonly DistrustedAgent[];
    readonly unrecorded: readonly DistrustedAgent[];
  } {
    const caught = [...this.#disagreements.caught].map(([agent, reason]) => ({ agent, reason }));
    return { caught, unrecorded: caught.filter(({ agent }) => !this.#recorded.has(agent)) };
  }

  /** A sentence about an agent that was caught; empty if it was not. */
  distrustOf(agent: string): string {
    return this.#disagreements.reasonOf(agent);
  }

  get summary(): CrossCheckSummary {
    const { agreement, caught } = this.#disagreements;
    const [checks, unconfirmed] = [this.#checksDone, this.#unconfirmed];
    return { checks, unconfirmed, ...agreement, distrusted: Object.fromEntries(caught) };
  }

  /** A sentence if shards wait because nobody can check them; else empty. */
  get notice(): string {
    const isAlone = [...this.#checks.values()].some((check) => check.isAlone);
    return isAlone ? 'shards wait until another agent can check them (--cross-check)' : '';
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
    const owners = lease.epochs.filter((each) => each.settledUpTo > each.from);
    const names = owners.map(({ agent }) => agent);
    // Of several owners, the one that is trusted least: it must not hide behind another one.
    const [agent = ''] = names.sort((a, b) => this.#sizeFor(a) - this.#sizeFor(b));
    const batch = this.#growing.get(agent) ?? new HeldBatch(agent);
    this.#growing.set(agent, batch);
    batch.add(shard, rowCount, names);
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
    this.#agents.onAsked(holder.agent);
    const due = [...this.#checks.values()].filter((check) => check.isFor(holder.agent));
    return due.map((check) => check.open(holder, this.#nextEpoch()));
  }

  /** True if so many rows wait that no more shards should be leased. */
  get isFull(): boolean {
    let rows = 0;
    for (const batch of [...this.#growing.values(), ...this.#closed]) rows += batch.rows;
    return rows > this.#options.rowsMax;
  }

  /** Nobody can check now: the survey is paused, or cannot be stored. */
  pause(): void {
    this.#agents.pause();
    for (const check of this.#checks.values()) check.restartPatience();
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
    if (!isSettled) {
      this.#batchOf.delete(shard);
      this.#checks.delete(shard);
    }
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
    if (check.isAtWork((agent) => this.#agents.has(agent))) return;
    check.giveUp();
    const others = this.#agents.all.filter(
      (agent) =>
        !batch.hasOpinionOf(shard, agent) &&
        !check.hasFailed(agent) &&
        lease.epochs.every((epoch) => epoch.agent !== agent) &&
        this.distrustOf(agent) === '',
    );
    const chosen = this.#draw(others);
    if (chosen !== undefined) check.assign(chosen);
    else if (this.#deps.clock.monotonic() - check.aloneSince > PATIENCE_MILLIS)
      this.#pass(batch, false);
  }

  #newCheck(shard: number): CheckLease {
    const { survey, plan, term, cooldown } = this.#options;
    return new CheckLease({ survey, term, cooldown, shard: plan.shard(shard) }, this.#deps);
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
    const own = { epochs: lease.epochs, rows: this.#deps.rowsOf(lease) };
    const compared = { plan, set, shard, checker, checked, ...own };
    const comparisons = compareOpinions(compared, batch.opinionsOn(shard));
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
    const isSuspected = [...batch.owners].some((agent) => this.#disagreements.isSuspected(agent));
    if (!isSuspected) this.#pass(batch, true);
    else if (batch.checks >= CHECKS_MAX) this.#pass(batch, false);
    // First another opinion about the same shard, which says who of both is wrong; then another shard.
    else if (batch.opinionsOn(batch.checking ?? -1).length >= 2) batch.checking = undefined;
  }

  /** Lets the shards of a batch be stored. */
  #pass(batch: HeldBatch, isAgreed: boolean): void {
    const { agent, size: shards } = batch;
    this.#agreements.set(agent, isAgreed ? (this.#agreements.get(agent) ?? 0) + 1 : 0);
    if (!isAgreed) {
      this.#unconfirmed += shards;
      this.#deps.onUnconfirmed({ agent, shards });
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
