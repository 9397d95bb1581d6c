/**
 * The lease of a shard that is probed once more. It has an epoch with a number of its own, far above those of the
 * shard's lease, so that keys, reports and batches of both are never confused.
 */
import { assert } from '../../shared/base/assert.js';
import type { Clock } from '../../shared/base/clock.js';
import type { NewLease, ShardEpoch, ShardReport } from '../../shared/bus/heartbeat.js';
import type { ResultDelivery } from '../../shared/bus/interfaces.js';
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import { type EpochRecord, type Lease, lastEpoch } from '../../shared/survey/lease.js';
import type { Plan, Shard } from '../../shared/survey/plan.js';
import { type Holder, openedEpoch } from '../leases/opened-epoch.js';
import type { ReportValidator } from '../leases/report-validator.js';
import { BatchCollector } from '../storage/batch-collector.js';
import { batchWithForgedRow } from '../storage/forged-rows.js';
import type { ShardRows } from '../storage/shard-rows.js';

const MOMENT_MILLIS = 3000;
const FIRST_EPOCH = 2 ** 31;
const EPOCHS_PER_TERM = 65_536;
/** An agent that was chosen must begin, and then make progress, within this time; when all is sent, also settle. */
const IDLE_MILLIS = 30_000;
/** An agent must end a check within this time. */
const CHECK_MILLIS = 1_800_000;

/** True if an epoch is one of a check. */
export function isCheckEpoch(epoch: number): boolean {
  return epoch >= FIRST_EPOCH;
}

export interface CheckedShard {
  readonly survey: string;
  readonly term: number;
  readonly shard: Shard;
  /** The survey's, in milliseconds. */
  readonly cooldown: number;
}

export interface CheckLeaseDeps {
  readonly clock: Clock;
  readonly reports: ReportValidator;
  readonly keyOf: (epoch: ShardEpoch & { readonly agent: string }) => Uint8Array;
  /** Called with the probes that were sent for checks. */
  readonly onProbes: (count: number) => void;
  /** Called if an agent reports what is not possible. */
  readonly onViolation: (agent: string, reason: string) => void;
}

export interface CheckResult {
  readonly checker: string;
  readonly probesSent: number;
  /** Undefined if one of them is forged. */
  readonly rows: ShardRows | undefined;
}

export class CheckLease {
  /** Since when no other agent is there, by our monotonic clock. */
  aloneSince: number;
  readonly #checked: CheckedShard;
  readonly #deps: CheckLeaseDeps;
  #assigned = '';
  #lease: Lease | undefined;
  #collector = new BatchCollector();
  #openedAt = 0;
  /** When the agent was chosen, and when it last made progress. */
  #assignedAt = 0;
  #activeAt = 0;
  /** Agents that were chosen, and did not end it. */
  readonly #failed = new Set<string>();

  constructor(checked: CheckedShard, deps: CheckLeaseDeps) {
    this.#checked = checked;
    this.#deps = deps;
    this.aloneSince = deps.clock.monotonic();
  }

  /** The agent that holds it; undefined if none does. */
  get holder(): string | undefined {
    return this.#lease?.state === 'held' ? lastEpoch(this.#lease)?.agent : undefined;
  }

  get isComplete(): boolean {
    return this.#lease?.state === 'settled' && this.#collector.hasAll(this.#lease);
  }

  /** True if an agent that is alive works on it, or has been asked to. */
  isAtWork(isAlive: (agent: string) => boolean): boolean {
    if (this.#lease?.state === 'settled') return this.#isRecent;
    return this.#assigned !== '' && isAlive(this.#assigned) && this.#isRecent;
  }

  get #isRecent(): boolean {
    const now = this.#deps.clock.monotonic();
    const idle = IDLE_MILLIS + this.#checked.cooldown;
    return now - this.#activeAt < idle && now - this.#assignedAt < CHECK_MILLIS;
  }

  /** True if it waits for an agent for more than a moment. */
  get isAlone(): boolean {
    const isWaiting = this.#assigned === '' && this.#lease === undefined;
    return isWaiting && this.#deps.clock.monotonic() - this.aloneSince > MOMENT_MILLIS;
  }

  /** True if an agent was chosen before, and did not end it. */
  hasFailed(agent: string): boolean {
    return this.#failed.has(agent);
  }

  /** Nobody could work on it for a while. */
  restartPatience(): void {
    this.aloneSince = this.#deps.clock.monotonic();
    this.#activeAt = this.aloneSince;
  }

  /** Leaves it to an agent, once that asks for work. */
  assign(agent: string): void {
    this.#assigned = agent;
    this.#lease = undefined;
    this.restartPatience();
    this.#assignedAt = this.#activeAt;
  }

  isFor(agent: string): boolean {
    return this.#assigned === agent && this.#lease === undefined;
  }

  /** True if an agent holds this epoch, or has settled it. */
  isHeld(agent: string, epoch: number): boolean {
    const known = this.#lease && lastEpoch(this.#lease);
    return known?.agent === agent && known.epoch === epoch && this.#lease?.state !== 'released';
  }

  /** @param number of the epoch, among those of checks of this term */
  open(holder: Holder, number: number): NewLease {
    const { survey, term, shard } = this.#checked;
    const { clock, keyOf } = this.#deps;
    const epoch = FIRST_EPOCH + ((term * EPOCHS_PER_TERM + number) % FIRST_EPOCH);
    const { from } = shard;
    const record = openedEpoch(holder, { epoch, from, now: clock.wall() });
    this.#lease = { survey, shard: shard.number, state: 'held', epochs: [record], term };
    this.#collector = new BatchCollector();
    this.#openedAt = clock.monotonic();
    this.#activeAt = this.#openedAt;
    const named = { survey, shard: shard.number, epoch };
    return { ...named, from, key: keyOf({ ...named, agent: holder.agent }) };
  }

  /** Takes a report of its holder. @returns the rule that the report violates, if it is not possible */
  take(report: ShardReport): string | undefined {
    const { clock, reports } = this.#deps;
    assert(this.#lease !== undefined, 'a check is reported before it was opened');
    const known = lastEpoch(this.#lease) as EpochRecord;
    const { progress, state } = report;
    if (this.#lease.state !== 'held' || (progress === undefined && state === 'held'))
      return undefined;
    const next = { ...known, ...progress, updatedAt: clock.wall() };
    const violation = reports.violationOf({ known, next, report, openedAt: this.#openedAt });
    if (violation !== undefined || state === 'released') {
      this.release();
      return violation;
    }
    const hasMoved = next.sentUpTo > known.sentUpTo || next.settledUpTo > known.settledUpTo;
    if (hasMoved || state === 'settled') this.#activeAt = clock.monotonic();
    this.#deps.onProbes(next.probesSent - known.probesSent);
    this.#lease = { ...this.#lease, state, epochs: [next] };
    return undefined;
  }

  /** The agent that was chosen is gone, or makes no progress: another one is to be chosen. */
  giveUp(): void {
    if (this.#assigned === '') return;
    this.#failed.add(this.#assigned);
    this.release();
  }

  /** Leaves it to another agent. */
  release(): void {
    this.#assigned = '';
    this.#lease = undefined;
    this.aloneSince = this.#deps.clock.monotonic();
  }

  onBatch(delivery: ResultDelivery): void {
    const { from, to } = this.#checked.shard;
    const kept = { ...delivery, acknowledge: () => {} };
    this.#collector.add(kept, { lease: this.#lease, positions: to - from });
  }

  /** The result of a complete check. */
  result(plan: Plan, set: ProbeSet): CheckResult {
    const lease = this.#lease;
    assert(lease !== undefined && this.isComplete, 'a check has no result yet');
    const { agent, probesSent } = lastEpoch(lease) as EpochRecord;
    const rows = this.#collector.rowsOf(lease, this.#checked.shard);
    const forged = batchWithForgedRow(rows, plan, set, this.#deps.keyOf);
    if (forged === undefined) return { checker: agent, probesSent, rows };
    const reason = `check of shard ${lease.shard}: a row does not bear the cookie of its probe`;
    this.#deps.onViolation(agent, reason);
    return { checker: agent, probesSent, rows: undefined };
  }
}
