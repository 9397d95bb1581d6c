/**
 * Lends a survey's rate to the agents that want it. A pure fold over heartbeats: each is answered
 * with a loan that lapses three seconds after the heartbeat, so the sum of what is out never exceeds
 * the budget, also when agents vanish with theirs. What was lent counts until it lapses, or until the
 * agent's heartbeat names a later loan as the one in force.
 *
 * Shares are even, but no agent is lent more than its cap: what it cannot use goes to the others.
 */
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity } from '../../shared/bus/interfaces.js';
import { MaxMinShare } from './max-min-share.js';

type Asking = Pick<Activity, 'hasWork' | 'grantSerial'>;

export interface IssuedGrant {
  readonly serial: number;
  readonly rate: number;
  /** Our monotonic clock; the agent's own reckoning ends no later. */
  readonly until: number;
}

interface Grantee {
  hasWork: boolean;
  cap: number;
  seenAt: number;
  issued: IssuedGrant[];
  /** The most that it may be using, as of when that was last reckoned: never too little. */
  most: number;
}

/** What has lapsed is found at least this often: until then it counts as lent. */
const SWEEP_MILLIS = 100;

export class RateAllocator {
  #budget: number;
  readonly #borrowers = new Map<string, Grantee>();
  /** Those who want. */
  readonly #shares = new MaxMinShare();
  /** The sum of what each borrower may be using. */
  #lent = 0;
  #sweptAt = 0;
  readonly #lendsFrom: number;
  #serial: number;

  /**
   * @param budget packets per second, all agents together
   * @param start the serial before the first: above all that a governor before this one gave
   * @param lendsFrom our monotonic clock: nothing is lent before, while what another lent is out
   */
  constructor(budget: number, start = 0, grantsFrom = 0) {
    this.#budget = budget;
    this.#serial = start;
    this.#lendsFrom = grantsFrom;
  }

  /** From now on no more than this is lent; what is out stays out until it lapses or is replaced. */
  set budget(budget: number) {
    this.#budget = budget;
  }

  /** Answers an agent's heartbeat. @param cap packets per second it can use at most */
  answer(agent: string, asking: Asking, cap: number, now: number): IssuedGrant {
    if (now - this.#sweptAt >= SWEEP_MILLIS) this.#sweep(now);
    const grantee = this.#borrowers.get(agent) ?? newGrantee();
    this.#borrowers.set(agent, grantee);
    if (grantee.hasWork) this.#shares.remove(grantee.cap);
    grantee.hasWork = asking.hasWork;
    grantee.cap = cap;
    grantee.seenAt = now;
    if (grantee.hasWork) this.#shares.add(cap);
    grantee.issued = grantee.issued.filter(({ serial }) => serial >= asking.grantSerial);
    return this.#lend(grantee, now, now + LIMITS.grantMillis);
  }

  /** A loan in place of the last one, until when that would have lapsed; undefined where none is out. */
  replace(agent: string, now: number): IssuedGrant | undefined {
    const grantee = this.#borrowers.get(agent);
    const last = grantee?.issued.at(-1);
    if (grantee === undefined || last === undefined || last.until <= now) return undefined;
    return this.#lend(grantee, now, last.until);
  }

  /** Agents that have a loan. */
  granteesAt(now: number): readonly string[] {
    const names = [...this.#borrowers.keys()];
    return names.filter((name) =>
      this.#borrowers.get(name)?.issued.some(({ until }) => until > now),
    );
  }

  /** Packets per second that may be in use at `now`. */
  grantedAt(now: number): number {
    this.#sweep(now);
    return this.#lent;
  }

  /** Packets per second of an agent's last loan. */
  grantedTo(agent: string, now: number): number {
    const last = this.#borrowers.get(agent)?.issued.at(-1);
    return last !== undefined && last.until > now ? last.rate : 0;
  }

  #lend(grantee: Grantee, now: number, until: number): IssuedGrant {
    this.#reckon(grantee, now);
    const elsewhere = this.#lent - grantee.most;
    const rate = grantee.hasWork && now >= this.#lendsFrom ? this.#share(grantee, elsewhere) : 0;
    const issued = { serial: ++this.#serial, rate, until };
    grantee.issued.push(issued);
    grantee.most = Math.max(grantee.most, rate);
    this.#lent = elsewhere + grantee.most;
    return issued;
  }

  #share({ cap }: Grantee, elsewhere: number): number {
    return Math.max(0, Math.min(cap, this.#shares.of(this.#budget), this.#budget - elsewhere));
  }

  /** Forgets a borrower's lapsed loans. It may go by any other: the largest counts. */
  #reckon(grantee: Grantee, now: number): void {
    grantee.issued = grantee.issued.filter(({ until }) => until > now);
    this.#lent -= grantee.most;
    grantee.most = grantee.issued.reduce((most, { rate }) => Math.max(most, rate), 0);
    this.#lent += grantee.most;
  }

  /** Forgets what has lapsed, and who is gone; the sum is made anew. */
  #sweep(now: number): void {
    this.#sweptAt = now;
    this.#lent = 0;
    for (const [name, grantee] of this.#borrowers) {
      grantee.most = 0;
      this.#reckon(grantee, now);
      if (now - grantee.seenAt <= LIMITS.agentTimeoutMillis) continue;
      if (grantee.hasWork) this.#shares.remove(grantee.cap);
      this.#lent -= grantee.most;
      this.#borrowers.delete(name);
    }
  }
}

function newGrantee(): Grantee {
  return { hasWork: false, cap: 0, seenAt: 0, issued: [], most: 0 };
}
