/**
 * The leases of one survey. Its coordinator opens them and takes the reports of their holders; nobody else changes
 * them. An agent holds what it was given and reports; a shard that it does not report any more is free, and so are
 * those of an agent that is gone.
 */
import { assert } from '../../shared/base/assert.js';
import type { Clock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { NewLease, ShardEpoch, ShardReport } from '../../shared/bus/heartbeat.js';
import type { LeaseStore } from '../../shared/bus/interfaces.js';
import { FINDINGS_PER_EPOCH, type IcmpFindings } from '../../shared/survey/icmp-findings.js';
import { type Lease, lastEpoch, rewound, settledUpToOf } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { Log } from '../../shared/telemetry/log.js';
import type { ShardTable } from '../storage/shard-table.js';
import { LeaseWriter } from './lease-writer.js';
import { type Holder, openedEpoch } from './opened-epoch.js';
import type { ReportValidator } from './report-validator.js';

export interface LeaseBookDeps {
  readonly survey: Pick<Survey, 'id' | 'firstEpoch'>;
  readonly plan: Plan;
  readonly table: ShardTable;
  readonly store: LeaseStore;
  /** The fencing term of the coordinator. */
  readonly term: number;
  readonly clock: Clock;
  readonly log: Log;
  /** The key of an epoch of an agent. */
  readonly keyOf: (epoch: ShardEpoch & { readonly agent: string }) => Uint8Array;
  /** Called with each lease that has changed. @param revision of its record, if it was read */
  readonly onChange: (lease: Lease, revision?: number) => void;
  /** The index of a lease's first epoch with a batch that the stream lost; undefined if none is known. */
  readonly epochWithLostBatch: (lease: Lease) => number | undefined;
  readonly reports: ReportValidator;
  /** Called if an agent reports what is not possible. */
  readonly onViolation: (agent: string, reason: string) => void;
}

/** A lease that has not changed for this long is checked. */
const STUCK_MILLIS = 60_000;
/** A shard that an agent has released is left to others for this long. */
const FOR_OTHERS_MILLIS = 2000;
/** Stuck leases that are checked at once. */
const STUCK_MAX = 64;

export class LeaseBook {
  readonly #deps: LeaseBookDeps;
  readonly #writer: LeaseWriter;
  /** When we opened the last epoch of a shard. */
  readonly #openedAt = new Map<number, number>();
  /** By whom, and when, a shard was released that another agent should take. */
  readonly #released = new Map<number, { readonly agent: string; readonly at: number }>();
  /** Lease records with lower revisions belong to stored shards. */
  #purgeableRevision = 0;

  constructor(deps: LeaseBookDeps) {
    const { survey, term, store, table } = deps;
    this.#deps = deps;
    this.#writer = new LeaseWriter(survey.id, term, store, table);
  }

  /** Reads the records of earlier coordinators, once the stored shards are known. */
  async restore(): Promise<void> {
    const { store, survey, plan, onChange } = this.#deps;
    for (const { value: lease, revision } of await store.list(survey.id)) {
      const isOld = (lastEpoch(lease)?.epoch ?? 0) < survey.firstEpoch;
      if (!isOld && lease.shard < plan.shardCount) onChange(lease, revision);
    }
  }

  /**
   * Takes an agent's reports of all its shards. Shards that it holds and does not report are free from now on.
   * @returns the shards that it has reported and does not hold
   */
  report(agent: string, reports: readonly ShardReport[]): readonly ShardEpoch[] {
    const { survey, table } = this.#deps;
    const lost: ShardEpoch[] = [];
    const reported = new Set<number>();
    for (const report of reports) {
      const { shard, epoch } = report;
      reported.add(shard);
      if (this.#take(agent, report)) table.onReported(shard);
      else lost.push({ survey: survey.id, shard, epoch });
    }
    for (const shard of table.heldBy(agent)) {
      const lease = reported.has(shard) ? undefined : table.leaseOf(shard);
      if (lease !== undefined) this.#set({ ...lease, state: 'released' });
    }
    return lost;
  }

  /** Opens the next epochs of up to `wanted` shards. */
  open(holder: Holder, wanted: number): readonly NewLease[] {
    const { table, clock } = this.#deps;
    const room = LIMITS.leasesPerAgent - table.countHeldBy(holder.agent);
    const opened: NewLease[] = [];
    const now = clock.monotonic();
    const mayTake = (shard: number) => {
      const released = this.#released.get(shard);
      return released?.agent !== holder.agent || now - released.at >= FOR_OTHERS_MILLIS;
    };
    while (opened.length < Math.min(wanted, LIMITS.leasingAtOnce, room)) {
      const shard = table.next(mayTake);
      if (shard === undefined) break;
      opened.push(this.#open(shard, holder));
    }
    return opened;
  }

  /**
   * Resolves once all leases that were opened, ended or revoked are written: an agent may learn of them then.
   * @throws Fault DEPOSED
   */
  async written(): Promise<void> {
    await this.#writer.writeUrgent();
  }

  /** Writes what agents have reported of shards that they still hold. @throws Fault DEPOSED */
  async writeProgress(): Promise<void> {
    await this.#writer.writeProgress();
  }

  /** Lets others lease the shards of agents that are gone. */
  freeShardsOf(isGone: (agent: string) => boolean): void {
    const { table } = this.#deps;
    for (const agent of table.holders) if (isGone(agent)) table.freeShardsOf(agent);
  }

  /**
   * Takes an agent's unfinished shards away. Their next epoch starts where the agent's epoch started, so even
   * positions that the agent had settled are probed again.
   */
  revoke(agent: string): void {
    const { table } = this.#deps;
    for (const lease of table.leases) {
      const isItsOwn = lastEpoch(lease)?.agent === agent && lease.state !== 'settled';
      if (isItsOwn) this.#set(rewound(lease, lease.epochs.length - 1));
    }
  }

  /** Takes shards from holders that make no progress: others continue at the settled position. */
  reclaim(leases: readonly Lease[]): void {
    const { log, survey, clock } = this.#deps;
    for (const lease of leases) {
      const { shard } = lease;
      const agent = lastEpoch(lease)?.agent ?? '';
      log.warn(
        { survey: survey.id, shard, agent },
        'the agent makes no progress; its shard is reclaimed',
      );
      this.#released.set(shard, { agent, at: clock.monotonic() });
      this.#set({ ...lease, state: 'released' });
    }
  }

  /** Rewinds the shards that an agent has settled, and that are not stored: its positions are probed again. */
  distrust(agent: string): void {
    for (const lease of this.#deps.table.leases) {
      const first = lease.epochs.findIndex((each) => {
        const isHeld = each === lastEpoch(lease) && lease.state === 'held';
        return each.agent === agent && (isHeld || each.settledUpTo > each.from);
      });
      if (first >= 0) this.#set(rewound(lease, first));
    }
  }

  /** The rows of an epoch are not to be believed: its positions, and those of all later epochs, are probed again. */
  rewind({ shard, epochs }: Lease, epoch: number): void {
    const lease = this.#deps.table.leaseOf(shard);
    const first = epochs.findIndex((each) => each.epoch === epoch);
    if (lease !== undefined && first >= 0) this.#set(rewound(lease, first));
  }

  /**
   * Repairs leases that have been stuck for a minute: if the broker lost acknowledged batches (its host lost
   * power), the positions of the first epoch with a lost batch, and those of all later epochs, are probed again.
   */
  repair(now: number): void {
    const { table, epochWithLostBatch, log, survey } = this.#deps;
    for (const lease of table.takeStalled(now - STUCK_MILLIS, now, STUCK_MAX)) {
      const first = epochWithLostBatch(lease);
      if (first === undefined) continue;
      const details = { survey: survey.id, shard: lease.shard, epoch: lease.epochs[first]?.epoch };
      log.warn(details, 'the broker lost rows; their positions are probed again');
      this.#set(rewound(lease, first));
    }
  }

  /** Removes the records of stored shards, so that a huge survey keeps no more records than a small one. */
  async purge(): Promise<void> {
    const { store, table, survey } = this.#deps;
    const { purgeableRevision } = table;
    if (purgeableRevision <= this.#purgeableRevision) return;
    this.#purgeableRevision = purgeableRevision;
    await store.purge(survey.id, purgeableRevision);
  }

  /** Takes a report of one shard. @returns whether the agent holds the shard, or has just ended its lease */
  #take(agent: string, report: ShardReport): boolean {
    const { table, plan } = this.#deps;
    const { shard, epoch, state, progress } = report;
    if (shard >= plan.shardCount) return false;
    const lease = table.leaseOf(shard);
    // A last report that was answered, but the answer was lost.
    if (lease === undefined) return state !== 'held' && table.isStored(shard);
    const known = lastEpoch(lease);
    if (known?.agent !== agent || known.epoch !== epoch) return false;
    if (lease.state !== 'held') return lease.state === state;
    const findings = withFindings(known, report);
    const hasChanged = progress !== undefined || state !== 'held' || findings !== undefined;
    if (!hasChanged) return true;
    const next = { ...known, ...progress, ...findings, updatedAt: this.#deps.clock.wall() };
    const openedAt = this.#openedAt.get(shard);
    const violation = this.#deps.reports.violationOf({ known, next, report, openedAt });
    if (violation !== undefined) {
      this.#deps.onViolation(agent, `shard ${shard}: ${violation}`);
      return false;
    }
    const epochs = [...lease.epochs.slice(0, -1), next];
    const { clock } = this.#deps;
    if (state === 'released') this.#released.set(shard, { agent, at: clock.monotonic() });
    this.#set({ ...lease, state, epochs }, state !== 'held');
    return true;
  }

  #open(shard: number, holder: Holder): NewLease {
    const { table, plan, survey, clock, term } = this.#deps;
    const known = table.leaseOf(shard);
    assert(known?.state !== 'settled', `shard ${shard} is leased again, although it is settled`);
    const from = settledUpToOf(known, plan.shard(shard));
    const epoch = Math.max(survey.firstEpoch, ((known && lastEpoch(known)?.epoch) ?? 0) + 1);
    const record = openedEpoch(holder, { epoch, from, now: clock.wall() });
    // Drops epochs in which nothing was sent, so that the record of a shard with many holders stays small.
    const earlier = (known?.epochs ?? []).filter(({ sentUpTo, from: start }) => sentUpTo > start);
    this.#openedAt.set(shard, clock.monotonic());
    this.#released.delete(shard);
    this.#set({ survey: survey.id, shard, state: 'held', epochs: [...earlier, record], term });
    const named = { survey: survey.id, shard, epoch };
    const key = this.#deps.keyOf({ ...named, agent: holder.agent });
    return { ...named, from, key };
  }

  #set(lease: Lease, isUrgent = true): void {
    if (lease.state !== 'held') this.#openedAt.delete(lease.shard);
    this.#writer.onChange(lease.shard, isUrgent);
    this.#deps.onChange({ ...lease, term: this.#deps.term });
  }
}

/** The findings of an epoch with those of a report; undefined if there are no new ones. */
function withFindings(known: IcmpFindings, report: IcmpFindings): IcmpFindings | undefined {
  const isNew = report.icmpLimited.length + report.slowedNetworks.length > 0;
  if (!isNew) return undefined;
  const merge = (before: readonly string[], found: readonly string[]) =>
    [...new Set([...before, ...found])].slice(0, FINDINGS_PER_EPOCH);
  return {
    icmpLimited: merge(known.icmpLimited, report.icmpLimited),
    slowedNetworks: merge(known.slowedNetworks, report.slowedNetworks),
  };
}
