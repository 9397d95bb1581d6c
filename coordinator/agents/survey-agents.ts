/**
 * The agents of one survey. Each heartbeat is answered with a grant: a share of the rate, less for
 * those who struggle, none for those who hear nothing; the exclusions to obey; and, towards the end,
 * shards to hand back.
 */
import type { Clock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity, Grant, Heartbeat, IoStats } from '../../shared/bus/interfaces.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { alarmingDrops } from '../../shared/survey/status.js';
import type { Log } from '../../shared/telemetry/log.js';
import { slowShards } from '../dispatch/stragglers.js';
import { ActivitySummary } from './activity-summary.js';
import { agentsWithoutReplies, Health, type ReplyRate } from './agent-health.js';
import { type IssuedGrant, RateAllocator } from './rate-allocator.js';

/** Serials grow from coordinator to coordinator, whatever their clocks say. */
const GRANTS_PER_TERM = 2 ** 32;

export interface SurveyAgentsOptions {
  readonly survey: string;
  readonly plan: Plan;
  /** Whether a coordinator before us has begun the survey: its grants may be out. */
  readonly isResumed: boolean;
  /** Of the coordinator: its grants come after all of those before it. */
  readonly term: number;
}

export interface SurveyAgentsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly rate: number;
  /** The exclusions that agents must obey. */
  readonly exclusions: () => number;
  /** Leases to be finished by others, where they are idle: none while shards are still on offer. */
  readonly stragglers: () => readonly Lease[];
  /** Whether an agent holds a lease: only then has it anything to send. */
  readonly holds: (agent: string) => boolean;
  /** What agents have settled, and how much of it was answered, as their leases say. */
  readonly settled: () => ReadonlyMap<string, ReplyRate>;
  /** An agent's silence is not to be believed: takes from it what it has not settled. Never rejects. */
  readonly onNoReplies: (agent: string) => Promise<void>;
}

/** An agent that was told to stand down is tried again after this: ears come back. */
const STAND_DOWN_MILLIS = 60_000;
/** How often all agents are compared with one another. */
const LOOK_MILLIS = 1000;

interface Member {
  health: Health;
  /** Of its last heartbeat, on its own clock. */
  sentAt: number;
  /** Why nothing is lent to it; empty where something is. */
  deaf: string;
  /** The same once it is told, so that it gives back what it holds. */
  quarantineReason: string;
  /** Our monotonic clock. */
  quarantinedAt: number;
}

export class SurveyAgents {
  readonly activities = new ActivitySummary();
  readonly #options: SurveyAgentsOptions;
  readonly #parts: SurveyAgentsDeps;
  readonly #governor: RateAllocator;
  readonly #members = new Map<string, Member>();
  readonly #handedBack = new Map<number, number>();
  #hasWarned = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SurveyAgentsOptions, deps: SurveyAgentsDeps) {
    this.#options = options;
    this.#parts = deps;
    const now = deps.clock.monotonic();
    const grantsFrom = options.isResumed ? now + LIMITS.grantMillis : now;
    this.#governor = new RateAllocator(deps.rate, options.term * GRANTS_PER_TERM, grantsFrom);
  }

  /** Answers a heartbeat's part about this survey. */
  hear({ agent, sentAt, ceiling, activities }: Heartbeat, said: Activity): Grant {
    const activity = this.#believable(agent, said);
    const now = this.#parts.clock.monotonic();
    const member = this.#members.get(agent) ?? {
      health: new Health(),
      sentAt,
      deaf: '',
      quarantineReason: '',
      quarantinedAt: 0,
    };
    this.#members.set(agent, member);
    member.sentAt = sentAt;
    if (member.quarantineReason !== '' && now - member.quarantinedAt >= STAND_DOWN_MILLIS) {
      member.deaf = '';
      member.quarantineReason = '';
      member.health = new Health();
    }
    const { rate, replies, ioStats, hasWork } = activity;
    this.activities.update(agent, { rate, replies, ioStats, hasWork, seenAt: now });
    member.health.see(activity, this.#governor.grantedTo(agent, now), now);
    if (now - this.#lookedAt >= LOOK_MILLIS) this.#checkAgents(now);
    const sharers = activities.filter((each) => each.hasWork).length;
    const own = ceiling > 0 ? ceiling / Math.max(1, sharers) : Number.POSITIVE_INFINITY;
    const cap = member.deaf === '' ? Math.min(own, member.health.cap) : 0;
    const issued = this.#governor.answer(agent, activity, cap, now);
    const releaseShards = this.#handBack(agent, activity, now);
    return this.#grant(agent, member, issued, releaseShards);
  }

  /** Nobody hears more than was asked, or has something to send without a lease, whatever he says. */
  #believable(agent: string, said: Activity): Activity {
    const hasWork = said.hasWork && this.#parts.holds(agent);
    return { ...said, hasWork, replies: Math.min(said.replies, said.probesSent) };
  }

  /** Packets per second for all from now on; 0 is silence. @returns what tells those who have more */
  set(rate: number): Grant[] {
    this.#governor.budget = rate;
    return this.renewGrants();
  }

  /** Grants anew to all who have one: the terms have changed. */
  renewGrants(): Grant[] {
    const now = this.#parts.clock.monotonic();
    return this.#governor.granteesAt(now).flatMap((agent) => {
      const member = this.#members.get(agent);
      const issued = member && this.#governor.replace(agent, now);
      return issued === undefined ? [] : [this.#grant(agent, member as Member, issued, [])];
    });
  }

  ioStatsOf(agent: string): IoStats | undefined {
    return this.activities.ioStatsOf(agent);
  }

  /** Packets per second lent to an agent. */
  grantedTo(agent: string): number {
    return this.#governor.grantedTo(agent, this.#parts.clock.monotonic());
  }

  /** Why an agent was told to stand down; empty where it was not. */
  quarantineReasonOf(agent: string): string {
    return this.#members.get(agent)?.deaf ?? '';
  }

  /** Once a second: who hears nothing stands down, and drops are warned of. */
  #checkAgents(now: number): void {
    this.#lookedAt = now;
    const replyRates = new Map<string, ReplyRate>();
    for (const [agent, { health, deaf }] of this.#members) {
      if (deaf === '' && this.activities.isAlive(agent, now))
        replyRates.set(agent, health.replyRate);
    }
    for (const [agent, reason] of agentsWithoutReplies(replyRates, this.#parts.settled())) {
      const member = this.#members.get(agent);
      if (member !== undefined) void this.#quarantine(agent, member, reason);
    }
    if (!this.#hasWarned) this.#warnOfDrops(now);
  }

  /** First it is lent nothing and loses its leases: told before, it would settle the silence it heard. */
  async #quarantine(agent: string, member: Member, reason: string): Promise<void> {
    member.deaf = reason;
    this.#parts.log.error({ survey: this.#options.survey, agent, reason }, 'agent stands down');
    await this.#parts.onNoReplies(agent);
    member.quarantinedAt = this.#parts.clock.monotonic();
    member.quarantineReason = reason;
  }

  /** Once: from here on silence may be ours and not the targets'. */
  #warnOfDrops(now: number): void {
    const { framesReceived, framesDropped } = this.activities.summary(now);
    if (alarmingDrops({ framesReceived, framesDropped }) === 0) return;
    this.#hasWarned = true;
    const { survey } = this.#options;
    this.#parts.log.warn(
      { survey, framesReceived, framesDropped },
      'captures drop replies: lower the rate',
    );
  }

  #handBack(agent: string, activity: Activity, now: number): readonly number[] {
    if (!activity.hasWork) return [];
    const underWay = this.#parts.stragglers();
    const isAble = (name: string) => this.quarantineReasonOf(name) === '';
    if (underWay.length === 0 || !this.activities.idleAt(now).some(isAble)) return [];
    const rate = Math.max(activity.rate, this.#governor.grantedTo(agent, now));
    const { plan } = this.#options;
    const held = { underWay, plan, handedBack: this.#handedBack };
    return rate > 0 ? slowShards(agent, rate, held) : [];
  }

  #grant(
    agent: string,
    member: Member,
    issued: IssuedGrant,
    releaseShards: readonly number[],
  ): Grant {
    return {
      survey: this.#options.survey,
      agent,
      serial: issued.serial,
      rate: issued.rate,
      heartbeatAt: member.sentAt,
      ttlMillis: LIMITS.grantMillis,
      exclusionsVersion: this.#parts.exclusions(),
      quarantineReason: member.quarantineReason,
      releaseShards,
    };
  }
}
