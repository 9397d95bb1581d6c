/**
 * The dispatch of one survey, its scheduler: answers the part of each heartbeat that is about the survey, with leases
 * and a grant. Agents pull work: nothing is assigned to anybody who has not asked.
 *
 *     reports ─▶ lease book ─▶ new leases ─▶ grant ─▶ written ─▶ answer
 */
import type { Clock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity, Heartbeat, HeartbeatReply } from '../../shared/bus/heartbeat.js';
import type { CoordinatorBus } from '../../shared/bus/interfaces.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Exclusions } from '../../shared/survey/policy/exclusions.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { Log } from '../../shared/telemetry/log.js';
import { SurveyAgents } from '../agents/survey-agents.js';
import { LeaseBook } from '../leases/lease-book.js';
import type { LeasePace } from '../leases/lease-pace.js';
import type { ShardStorer } from '../storage/shard-storer.js';
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
  /** The time, on our monotonic clock, before which some agents may not be known yet. */
  readonly #agentsKnownFrom: number;
  #hadOffers = false;
  #maintainedAt = 0;
  #writtenAt = 0;

  constructor(survey: Survey, plan: Plan, deps: SurveyDispatchDeps) {
    const { bus, clock, log, term, isResumed, keys, storer, isServing, exclusions } = deps;
    const { id } = survey;
    const { table } = storer;
    this.#survey = id;
    this.#deps = deps;
    this.#leases = new LeaseBook({
      ...{ survey, plan, table, store: bus.leases, term, clock, log },
      keyOf: (epoch) => keys.keyOf(epoch),
      onChange: (lease, revision) => storer.onLease(lease, revision),
      epochWithLostBatch: (lease) => storer.epochWithLostBatch(lease),
      onViolation: (agent, reason) => this.agents.quarantine(agent, `impossible report, ${reason}`),
    });
    const now = clock.monotonic();
    this.#agentsKnownFrom = isResumed ? now + LIMITS.agentTimeoutMillis : now;
    const rate = survey.state === 'running' ? survey.rate : 0;
    this.agents = new SurveyAgents(
      { survey: id, plan, rate, isResumed, term },
      {
        ...{ clock, log, isServing },
        exclusionsVersion: () => exclusions.version,
        unfinishedLeases: () => (table.isFullyLeased ? table.leases : []),
        holdsLease: (agent) => table.countHeldBy(agent) > 0,
        repliesByAgent: () => table.repliesByAgent,
        revokeLeases: (agent) => this.#leases.revoke(agent),
      },
    );
  }

  /** Reads the leases of earlier coordinators, once the stored shards are known. */
  async restore(): Promise<void> {
    await this.#leases.restore();
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
    const lost = this.#leases.report(agent, activity?.shards ?? []);
    if (activity === undefined) {
      await this.#leases.written();
      return { ...NO_ANSWER, lost };
    }
    const isFit = state !== 'leaving' && this.agents.quarantineReasonOf(agent) === '';
    const holder = { agent, vantage, rulesHash: activity.rulesHash };
    const wanted = isFit && maySend && this.hasNext ? activity.wanted : 0;
    const allowed = this.#deps.pace.take(Math.min(wanted, LIMITS.leasingAtOnce));
    const leases = this.#leases.open(holder, allowed);
    const hasWork = (activity.hasWork || leases.length > 0) && maySend;
    const grant = this.agents.onHeartbeat(agent, { ...activity, hasWork });
    this.#leases.onGrant(agent, grant.rate);
    await this.#leases.written();
    return { lost, leases, grants: [grant] };
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
