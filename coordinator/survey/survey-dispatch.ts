/**
 * The dispatch of one survey, its scheduler: answers the part of each heartbeat that is about the survey, with leases
 * and a grant. Agents pull work: nothing is assigned to anybody who has not asked.
 *
 *     reports ─▶ lease book ─▶ new leases ─▶ grant ─▶ written ─▶ answer
 */
import type { Clock } from '../../shared/base/clock.js';
import { describeError } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Random } from '../../shared/base/random.js';
import type {
  Activity,
  Heartbeat,
  HeartbeatReply,
  ShardReport,
} from '../../shared/bus/heartbeat.js';
import type { CoordinatorBus } from '../../shared/bus/interfaces.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import type { CrossCheckLine, DistrustedAgent } from '../../shared/survey/cross-check-lines.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Exclusions } from '../../shared/survey/policy/exclusions.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { Log } from '../../shared/telemetry/log.js';
import { SurveyAgents } from '../agents/survey-agents.js';
import { type CheckLeaseDeps, isCheckEpoch } from '../cross-checks/check-lease.js';
import { CrossChecks } from '../cross-checks/cross-checks.js';
import { LeaseBook } from '../leases/lease-book.js';
import type { LeasePace } from '../leases/lease-pace.js';
import { ReportValidator } from '../leases/report-validator.js';
import { StalledLeases } from '../leases/stalled-leases.js';
import type { ShardStorer } from '../storage/shard-storer.js';
import type { SurveyFolder } from '../storage/survey-folder.js';
import type { SurveyKeys } from '../survey-keys.js';

export interface SurveyDispatchDeps {
  readonly bus: Pick<CoordinatorBus, 'leases' | 'agents'>;
  readonly clock: Clock;
  readonly log: Log;
  /** The fencing term of the coordinator. */
  readonly term: number;
  /** True if another coordinator may have led the survey before. */
  readonly isResumed: boolean;
  readonly exclusions: Exclusions;
  readonly keys: SurveyKeys;
  readonly random: Random;
  readonly folder: Pick<SurveyFolder, 'journal'>;
  /** Called if cross-checks have caught an agent. */
  readonly onCaught: (survey: string, caught: DistrustedAgent) => void;
  readonly storer: ShardStorer;
  readonly pace: LeasePace;
  /** True if an agent is alive and works on the survey. */
  readonly isServing: (agent: string) => boolean;
}

/** The part of the reply to a heartbeat that is about one survey. */
export type SurveyAnswer = Pick<HeartbeatReply, 'lost' | 'leases' | 'grants'>;

export const NO_ANSWER: SurveyAnswer = { lost: [], leases: [], grants: [] };
const MAINTENANCE_MILLIS = 3000;
/** Reports of shards that are still held are written this often. */
const PROGRESS_MILLIS = 1000;

export class SurveyDispatch {
  readonly agents: SurveyAgents;
  readonly #survey: string;
  readonly #deps: SurveyDispatchDeps;
  readonly #leases: LeaseBook;
  readonly #reports: ReportValidator;
  readonly #stalled: StalledLeases;
  readonly crossChecks: CrossChecks;
  /** The time, on our monotonic clock, before which some agents may not be known yet. */
  readonly #agentsKnownFrom: number;
  #hadOffers = false;
  #maintainedAt = 0;
  #writtenAt = 0;

  constructor(survey: Survey, plan: Plan, deps: SurveyDispatchDeps) {
    const { bus, clock, log, term, isResumed, keys, storer, isServing, exclusions } = deps;
    const onViolation = (agent: string, reason: string) =>
      this.agents.quarantine(agent, `impossible report, ${reason}`);
    const { id } = survey;
    const { table } = storer;
    this.#survey = id;
    this.#deps = deps;
    this.#stalled = new StalledLeases(plan, survey.cooldown);
    this.#reports = new ReportValidator({ plan, clock, cooldown: survey.cooldown });
    this.crossChecks = this.#crossChecks(survey, plan, onViolation);
    this.#leases = new LeaseBook({
      ...{ survey, plan, table, store: bus.leases, term, clock, log },
      keyOf: (epoch) => keys.keyOf(epoch),
      onChange: (lease, revision) => storer.onLease(lease, revision),
      epochWithLostBatch: (lease) => storer.epochWithLostBatch(lease),
      reports: this.#reports,
      onViolation,
    });
    const now = clock.monotonic();
    this.#agentsKnownFrom = isResumed ? now + LIMITS.agentTimeoutMillis : now;
    const rate = survey.state === 'running' ? survey.rate : 0;
    this.agents = new SurveyAgents(
      { survey: id, plan, rate, isResumed, term },
      {
        ...{ clock, log, isServing },
        exclusionsVersion: () => exclusions.version,
        unfinishedLeases: () => (table.hasNext ? [] : table.leases),
        holdsLease: (agent) => table.countHeldBy(agent) > 0 || this.crossChecks.isHeldBy(agent),
        repliesByAgent: () => table.repliesByAgent,
        revokeLeases: (agent) => this.#leases.revoke(agent),
      },
    );
  }

  /** Reads the leases of earlier coordinators, once the stored shards are known. */
  async restoreLeases(): Promise<void> {
    await this.#leases.restore();
    // The coordinator before may have died before it has done, or written, what follows from a check.
    const { caught, unrecorded } = this.crossChecks.restored;
    for (const { agent, reason } of caught) {
      this.#leases.distrust(agent);
      this.agents.distrust(agent, reason);
    }
    for (const distrusted of unrecorded) this.#record({ distrusted });
  }

  /** Takes a line of the journal of an earlier coordinator. */
  restore(line: CrossCheckLine): void {
    this.crossChecks.restore(line);
    if ('check' in line) this.#deps.storer.table.onChecked(line.check.probesSent);
  }

  /** True if there are shards to lease. */
  get hasNext(): boolean {
    return this.#deps.storer.table.hasNext;
  }

  /** True once every agent that is alive has had the time to send a heartbeat. */
  get areAgentsKnown(): boolean {
    return this.#deps.clock.monotonic() >= this.#agentsKnownFrom;
  }

  /**
   * Answers the part of a heartbeat that is about this survey, once all that the answer says is written.
   * @param activity undefined if the agent does not serve the survey
   * @param maySend false while nobody may send
   */
  async answer(
    agent: string,
    { vantage, state }: Heartbeat,
    activity: Activity | undefined,
    maySend: boolean,
  ): Promise<SurveyAnswer> {
    const reports = activity?.shards ?? [];
    const isCheck = ({ epoch }: ShardReport) => isCheckEpoch(epoch);
    const lost = [
      ...this.#leases.report(
        agent,
        reports.filter((each) => !isCheck(each)),
      ),
      ...this.crossChecks.report(agent, reports.filter(isCheck)),
    ];
    if (activity === undefined) {
      await this.#leases.written();
      return { ...NO_ANSWER, lost };
    }
    const isFit = state !== 'leaving' && this.agents.quarantineReasonOf(agent) === '';
    const holder = { agent, vantage, rulesHash: activity.rulesHash };
    const mayLease = isFit && maySend && this.hasNext && !this.crossChecks.isFull;
    const wanted = mayLease ? activity.wanted : 0;
    const allowed = this.#deps.pace.take(Math.min(wanted, LIMITS.leasingAtOnce));
    const checks = isFit && maySend ? this.crossChecks.open(holder) : [];
    const leases = [...checks, ...this.#leases.open(holder, allowed)];
    const hasWork = (activity.hasWork || leases.length > 0) && maySend;
    const grant = this.agents.onHeartbeat(agent, { ...activity, hasWork });
    this.#reports.onGrant(agent, grant.rate);
    await this.#leases.written();
    return { lost, leases, grants: [grant] };
  }

  #crossChecks(
    survey: Survey,
    plan: Plan,
    onViolation: CheckLeaseDeps['onViolation'],
  ): CrossChecks {
    const { clock, log, random, storer, keys, term } = this.#deps;
    const { id, crossCheckInterval: interval } = survey;
    const { cooldown } = survey;
    const options = {
      survey: id,
      plan,
      set: new ProbeSet(survey.probes),
      interval,
      term,
      cooldown,
    };
    return new CrossChecks(
      { ...options, rowsMax: LIMITS.rowsWaiting / 4 },
      {
        ...{ clock, random, reports: this.#reports, onViolation },
        keyOf: (epoch) => keys.keyOf(epoch),
        leaseOf: (shard) => storer.table.leaseOf(shard),
        rowsOf: (lease) => storer.rowsOf(lease),
        store: (lease) => storer.storeHeld(lease),
        onProbes: (count) => storer.table.onChecked(count),
        onChecked: (check) => this.#record({ check }),
        onUnconfirmed: (unconfirmed) => {
          log.warn(
            { survey: id, ...unconfirmed },
            'shards are stored, and no other agent confirms them',
          );
          this.#record({ unconfirmed });
        },
        onCaught: (caught) => this.#onCaught(caught),
      },
    );
  }

  /** Near the end: shards that their holders do not finish go to agents that have no work. */
  #reclaimStalled(now: number, isOffering: boolean): void {
    const { table } = this.#deps.storer;
    const isNearEnd = isOffering && !table.hasNext && this.agents.hasIdle;
    if (isNearEnd) this.#leases.reclaim(this.#stalled.of(table.leases, now));
    else this.#stalled.reset();
  }

  /** All that the agent has done and that is not stored is probed again by others. */
  #onCaught(caught: DistrustedAgent): void {
    this.#leases.distrust(caught.agent);
    this.agents.distrust(caught.agent, caught.reason);
    this.#record({ distrusted: caught });
    this.#deps.onCaught(this.#survey, caught);
  }

  #record(line: CrossCheckLine): void {
    const { folder, log } = this.#deps;
    folder.journal.addCrossCheck(line).catch((error: unknown) => {
      const details = { survey: this.#survey, error: describeError(error) };
      log.warn(details, 'a cross-check is not in the journal');
    });
  }

  /** An agent has published a row that none of its probes can have caused. */
  onForged(lease: Lease, { agent, epoch }: ResultBatch): void {
    this.#leases.rewind(lease, epoch);
    const reason = `shard ${lease.shard}: a row does not bear the cookie of its probe`;
    this.agents.quarantine(agent, reason);
  }

  /** Requests a heartbeat from all agents, because something has changed for them. */
  announce(): void {
    this.#deps.bus.agents.announce(this.#survey);
  }

  /** Called often: frees the shards of dead agents, announces when there is work again, writes and repairs leases. */
  async step(now: number, isOffering: boolean): Promise<void> {
    const { isServing } = this.#deps;
    if (this.areAgentsKnown) this.#leases.freeShardsOf((agent) => !isServing(agent));
    const hasOffers = isOffering && this.hasNext;
    if (hasOffers && !this.#hadOffers) this.announce();
    this.#hadOffers = hasOffers;
    if (isOffering) this.crossChecks.step(!this.hasNext);
    else this.crossChecks.pause();
    this.#reclaimStalled(now, isOffering);
    if (now - this.#writtenAt >= PROGRESS_MILLIS) {
      this.#writtenAt = now;
      await this.#leases.writeProgress();
    }
    if (now - this.#maintainedAt < MAINTENANCE_MILLIS) return;
    this.#maintainedAt = now;
    this.#leases.repair(now);
    await this.#leases.purge();
  }
}
