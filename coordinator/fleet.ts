/**
 * The agents of one survey. Each heartbeat is answered with a grant: a share of the rate, less for
 * those who struggle, none for those who hear nothing; the exclusions to obey; and, towards the end,
 * shards to hand back.
 */
import type { Clock } from '../shared/base/clock.js';
import { LIMITS } from '../shared/base/limits.js';
import type { Activity, Equipment, Grant, Heartbeat } from '../shared/bus/ports.js';
import type { Lease } from '../shared/survey/lease.js';
import type { Plan } from '../shared/survey/plan.js';
import { alarmingDrops } from '../shared/survey/status.js';
import type { Log } from '../shared/telemetry/log.js';
import { slowShards } from './dispatch/stragglers.js';
import { Governor, type Loan } from './governor/governor.js';
import { deafAmong, Health, type Hearing } from './governor/health.js';
import { Roster } from './governor/roster.js';

/** Serials grow from coordinator to coordinator, whatever their clocks say. */
const GRANTS_PER_TERM = 2 ** 32;

export interface FleetOptions {
  readonly survey: string;
  readonly plan: Plan;
  /** Whether a coordinator before us has begun the survey: its grants may be out. */
  readonly isResumed: boolean;
  /** Of the coordinator: its grants come after all of those before it. */
  readonly term: number;
}

export interface FleetParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly rate: number;
  /** The exclusions that agents must obey. */
  readonly exclusions: () => number;
  /** Leases to be finished by others, where they are idle: none while shards are still on offer. */
  readonly leftOver: () => readonly Lease[];
  /** Whether an agent holds a lease: only then has it anything to send. */
  readonly holds: (agent: string) => boolean;
  /** What agents have settled, and how much of it was answered, as their leases say. */
  readonly settled: () => ReadonlyMap<string, Hearing>;
  /** An agent's silence is not to be believed: takes from it what it has not settled. Never rejects. */
  readonly onDeaf: (agent: string) => Promise<void>;
}

/** An agent that was told to stand down is tried again after this: ears come back. */
const STAND_DOWN_MILLIS = 60_000;
/** How often all agents are compared with one another. */
const LOOK_MILLIS = 1000;

interface Member {
  health: Health;
  /** Of its last heartbeat, on its own clock. */
  at: number;
  /** Why nothing is lent to it; empty where something is. */
  deaf: string;
  /** The same once it is told, so that it gives back what it holds. */
  standDown: string;
  /** Our monotonic clock. */
  stoodDownAt: number;
}

export class Fleet {
  readonly roster = new Roster();
  readonly #options: FleetOptions;
  readonly #parts: FleetParts;
  readonly #governor: Governor;
  readonly #members = new Map<string, Member>();
  readonly #handedBack = new Map<number, number>();
  #hasWarned = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: FleetOptions, parts: FleetParts) {
    this.#options = options;
    this.#parts = parts;
    const now = parts.clock.monotonic();
    const lendsFrom = options.isResumed ? now + LIMITS.grantMillis : now;
    this.#governor = new Governor(parts.rate, options.term * GRANTS_PER_TERM, lendsFrom);
  }

  /** Answers a heartbeat's part about this survey. */
  hear({ agent, at, ceiling, activities }: Heartbeat, said: Activity): Grant {
    const activity = this.#believable(agent, said);
    const now = this.#parts.clock.monotonic();
    const member = this.#members.get(agent) ?? {
      health: new Health(),
      at,
      deaf: '',
      standDown: '',
      stoodDownAt: 0,
    };
    this.#members.set(agent, member);
    member.at = at;
    if (member.standDown !== '' && now - member.stoodDownAt >= STAND_DOWN_MILLIS) {
      member.deaf = '';
      member.standDown = '';
      member.health = new Health();
    }
    const { rate, replies, equipment, wants } = activity;
    this.roster.see(agent, { rate, replies, equipment, wants, seenAt: now });
    member.health.see(activity, this.#governor.lentTo(agent, now), now);
    if (now - this.#lookedAt >= LOOK_MILLIS) this.#lookAround(now);
    const sharers = activities.filter((each) => each.wants).length;
    const own = ceiling > 0 ? ceiling / Math.max(1, sharers) : Number.POSITIVE_INFINITY;
    const cap = member.deaf === '' ? Math.min(own, member.health.cap) : 0;
    const loan = this.#governor.answer(agent, activity, cap, now);
    const handBack = this.#handBack(agent, activity, now);
    return this.#grant(agent, member, loan, handBack);
  }

  /** Nobody hears more than was asked, or has something to send without a lease, whatever he says. */
  #believable(agent: string, said: Activity): Activity {
    const wants = said.wants && this.#parts.holds(agent);
    return { ...said, wants, replies: Math.min(said.replies, said.sent) };
  }

  /** Packets per second for all from now on; 0 is silence. @returns what tells those who have more */
  set(rate: number): Grant[] {
    this.#governor.budget = rate;
    return this.remind();
  }

  /** Grants anew to all who have one: the terms have changed. */
  remind(): Grant[] {
    const now = this.#parts.clock.monotonic();
    return this.#governor.borrowersAt(now).flatMap((agent) => {
      const member = this.#members.get(agent);
      const loan = member && this.#governor.replace(agent, now);
      return loan === undefined ? [] : [this.#grant(agent, member as Member, loan, [])];
    });
  }

  equipmentOf(agent: string): Equipment | undefined {
    return this.roster.equipmentOf(agent);
  }

  /** Packets per second lent to an agent. */
  lentTo(agent: string): number {
    return this.#governor.lentTo(agent, this.#parts.clock.monotonic());
  }

  /** Why an agent was told to stand down; empty where it was not. */
  standDownOf(agent: string): string {
    return this.#members.get(agent)?.deaf ?? '';
  }

  /** Once a second: who hears nothing stands down, and drops are warned of. */
  #lookAround(now: number): void {
    this.#lookedAt = now;
    const hearings = new Map<string, Hearing>();
    for (const [agent, { health, deaf }] of this.#members) {
      if (deaf === '' && this.roster.isPresent(agent, now)) hearings.set(agent, health.hearing);
    }
    for (const [agent, why] of deafAmong(hearings, this.#parts.settled())) {
      const member = this.#members.get(agent);
      if (member !== undefined) void this.#standDown(agent, member, why);
    }
    if (!this.#hasWarned) this.#warnOfDrops(now);
  }

  /** First it is lent nothing and loses its leases: told before, it would settle the silence it heard. */
  async #standDown(agent: string, member: Member, why: string): Promise<void> {
    member.deaf = why;
    this.#parts.log.error({ survey: this.#options.survey, agent, why }, 'agent stands down');
    await this.#parts.onDeaf(agent);
    member.stoodDownAt = this.#parts.clock.monotonic();
    member.standDown = why;
  }

  /** Once: from here on silence may be ours and not the targets'. */
  #warnOfDrops(now: number): void {
    const { received, dropped } = this.roster.summary(now);
    if (alarmingDrops({ received, dropped }) === 0) return;
    this.#hasWarned = true;
    const { survey } = this.#options;
    this.#parts.log.warn({ survey, received, dropped }, 'captures drop replies: lower the rate');
  }

  #handBack(agent: string, activity: Activity, now: number): readonly number[] {
    if (!activity.wants) return [];
    const underWay = this.#parts.leftOver();
    const isAble = (name: string) => this.standDownOf(name) === '';
    if (underWay.length === 0 || !this.roster.idleAt(now).some(isAble)) return [];
    const rate = Math.max(activity.rate, this.#governor.lentTo(agent, now));
    const { plan } = this.#options;
    const held = { underWay, plan, handedBack: this.#handedBack };
    return rate > 0 ? slowShards(agent, rate, held) : [];
  }

  #grant(agent: string, member: Member, loan: Loan, handBack: readonly number[]): Grant {
    return {
      survey: this.#options.survey,
      agent,
      serial: loan.serial,
      rate: loan.rate,
      answers: member.at,
      lasts: LIMITS.grantMillis,
      exclusions: this.#parts.exclusions(),
      standDown: member.standDown,
      handBack,
    };
  }
}
