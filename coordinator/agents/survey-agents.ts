/**
 * The agents of one survey. Each heartbeat is answered with a grant: a share of the rate, limited by the
 * agent's backoff, 0 in quarantine; the version of the exclusions that it must enforce; and, near the end,
 * the shards to release to idle agents.
 */
import { assert } from '../../shared/base/assert.js';
import type { Clock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity, Grant } from '../../shared/bus/heartbeat.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { alarmingDrops } from '../../shared/survey/status.js';
import type { Log } from '../../shared/telemetry/log.js';
import { Stragglers } from '../leases/stragglers.js';
import { ActivitySummary } from './activity-summary.js';
import { AgentBackoff, type ReplyRate } from './agent-backoff.js';
import { unusualHitRates } from './hit-rates.js';
import { agentsWithoutReplies } from './no-replies.js';
import { Quarantine } from './quarantine.js';
import { RateAllocator } from './rate-allocator.js';

/** Serials of grants begin with the term, so they increase from coordinator to coordinator. */
const GRANTS_PER_TERM = 2 ** 32;
const CHECK_MILLIS = 1000;

export interface SurveyAgentsOptions {
  readonly survey: string;
  readonly plan: Plan;
  /** Packets per second, all agents together. */
  readonly rate: number;
  /** True if another coordinator led the survey before: its grants may still be in force. */
  readonly isResumed: boolean;
  /** The fencing term of the coordinator. */
  readonly term: number;
}

export interface SurveyAgentsDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** True if an agent is alive and works on this survey. */
  readonly isServing: (agent: string) => boolean;
  /** The version of the exclusions that agents must enforce. */
  readonly exclusionsVersion: () => number;
  /** Leases that idle agents could finish; empty while shards are still on offer. */
  readonly unfinishedLeases: () => readonly Lease[];
  /** True if an agent holds a lease: only then can it have anything to send. */
  readonly holdsLease: (agent: string) => boolean;
  /** Positions settled and answered, by agent, from leases. */
  readonly repliesByAgent: () => ReadonlyMap<string, ReplyRate>;
  /** Revokes an agent's leases: the positions of its current epochs are probed again. */
  readonly revokeLeases: (agent: string) => void;
}

export class SurveyAgents {
  readonly activity: ActivitySummary;
  readonly #options: SurveyAgentsOptions;
  readonly #deps: SurveyAgentsDeps;
  readonly #allocator: RateAllocator;
  readonly #backoffs = new Map<string, AgentBackoff>();
  readonly #quarantine = new Quarantine();
  readonly #stragglers: Stragglers;
  /** By agent, in one sentence. */
  #unusual: ReadonlyMap<string, string> = new Map();
  #hasWarned = false;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SurveyAgentsOptions, deps: SurveyAgentsDeps) {
    this.#options = options;
    this.#deps = deps;
    const { isServing, clock } = deps;
    const { rate, term, isResumed, plan } = options;
    const now = clock.monotonic();
    this.activity = new ActivitySummary(isServing);
    this.#stragglers = new Stragglers(plan);
    this.#allocator = new RateAllocator({
      budget: rate,
      serial: term * GRANTS_PER_TERM,
      grantsFrom: isResumed ? now + LIMITS.grantMillis : now,
      isServing,
    });
  }

  /** Answers a heartbeat, as far as it concerns this survey. */
  onHeartbeat(agent: string, reported: Activity): Grant {
    const activity = this.#plausible(agent, reported);
    assert(
      activity.survey === this.#options.survey,
      `a heartbeat for survey ${activity.survey} was delivered to another survey`,
    );
    const now = this.#deps.clock.monotonic();
    let backoff = this.#backoffs.get(agent) ?? new AgentBackoff();
    if (this.#quarantine.endIfDue(agent, now)) backoff = new AgentBackoff();
    this.#backoffs.set(agent, backoff);
    this.activity.update(agent, activity);
    backoff.update(activity, this.#allocator.grantedTo(agent, now), now);
    if (now - this.#checkedAt >= CHECK_MILLIS) this.#checkAgents(now);
    const ceiling = activity.ceiling > 0 ? activity.ceiling : Number.POSITIVE_INFINITY;
    const cap = this.#quarantine.has(agent) ? 0 : Math.min(ceiling, backoff.cap);
    const { serial, rate } = this.#allocator.issue(agent, activity, cap, now);
    return {
      survey: this.#options.survey,
      serial,
      rate,
      ttlMillis: LIMITS.grantMillis,
      exclusionsVersion: this.#deps.exclusionsVersion(),
      quarantineReason: this.#quarantine.reasonOf(agent),
      releaseShards: this.#shardsToRelease(agent, activity, now),
    };
  }

  /** True if an agent could do more. */
  get hasIdle(): boolean {
    return this.activity.idle.some((agent) => !this.#quarantine.has(agent));
  }

  /** Sets the packets per second of all agents together: each agent's next heartbeat is answered accordingly. */
  setRate(rate: number): void {
    this.#allocator.budget = rate;
  }

  /** Puts an agent into quarantine: its leases are revoked, and it gets neither work nor rate for a while. */
  quarantine(agent: string, reason: string): void {
    if (this.#quarantine.has(agent)) return;
    const { log, clock, revokeLeases } = this.#deps;
    log.error({ survey: this.#options.survey, agent, reason }, 'agent in quarantine');
    revokeLeases(agent);
    this.#quarantine.start(agent, reason, clock.monotonic());
  }

  /** Puts an agent into quarantine for the rest of the survey. */
  distrust(agent: string, reason: string): void {
    const { log } = this.#deps;
    log.error({ survey: this.#options.survey, agent, reason }, 'agent is not trusted any more');
    this.#quarantine.keep(agent, reason);
  }

  /** Packets per second granted to an agent. */
  grantedTo(agent: string): number {
    return this.#allocator.grantedTo(agent, this.#deps.clock.monotonic());
  }

  /** Empty if the agent is not in quarantine. */
  quarantineReasonOf(agent: string): string {
    return this.#quarantine.reasonOf(agent);
  }

  /** A sentence if the hit rate of an agent is not that of the others; empty if it is. */
  unusualHitRateOf(agent: string): string {
    return this.#unusual.get(agent) ?? '';
  }

  /** Bounds the claims of an agent: no more replies than probes, and no work without a lease. */
  #plausible(agent: string, reported: Activity): Activity {
    const hasWork = reported.hasWork && this.#deps.holdsLease(agent);
    return { ...reported, hasWork, replies: Math.min(reported.replies, reported.probesSent) };
  }

  /** Runs about once a second: puts agents without replies into quarantine, and warns about dropped frames. */
  #checkAgents(now: number): void {
    this.#checkedAt = now;
    const { isServing, repliesByAgent } = this.#deps;
    const reported = new Map<string, ReplyRate>();
    for (const [agent, backoff] of this.#backoffs) {
      if (!this.#quarantine.has(agent) && isServing(agent)) reported.set(agent, backoff.replyRate);
    }
    const settled = repliesByAgent();
    for (const [agent, reason] of agentsWithoutReplies(reported, settled)) {
      this.quarantine(agent, reason);
    }
    this.#compareHitRates(settled);
    if (!this.#hasWarned) this.#warnOfDrops();
  }

  #compareHitRates(settled: ReadonlyMap<string, ReplyRate>): void {
    const { survey } = this.#options;
    const before = this.#unusual;
    this.#unusual = unusualHitRates(settled);
    for (const [agent, reason] of this.#unusual)
      if (!before.has(agent)) this.#deps.log.warn({ survey, agent, reason }, 'unusual hit rate');
  }

  /** Once per survey. */
  #warnOfDrops(): void {
    const { framesReceived, framesDropped } = this.activity.totals;
    if (alarmingDrops({ framesReceived, framesDropped }) === 0) return;
    this.#hasWarned = true;
    const counts = { survey: this.#options.survey, framesReceived, framesDropped };
    this.#deps.log.warn(counts, 'captures drop replies: lower the rate');
  }

  #shardsToRelease(agent: string, activity: Activity, now: number): readonly number[] {
    if (!activity.hasWork) return [];
    const leases = this.#deps.unfinishedLeases();
    if (leases.length === 0 || !this.hasIdle) return [];
    const rate = Math.max(activity.rate, this.#allocator.grantedTo(agent, now));
    return rate > 0 ? this.#stragglers.of(agent, rate, leases) : [];
  }
}
