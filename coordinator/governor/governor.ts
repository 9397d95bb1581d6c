/**
 * Lends a survey's rate to the agents that want it. A pure fold over heartbeats: each is answered
 * with a loan that lapses three seconds after the heartbeat, so the sum of what is out never exceeds
 * the budget, also when agents vanish with theirs. What was lent counts until it lapses, or until the
 * agent's heartbeat names a later loan as the one in force.
 *
 * Shares are even, but no agent is lent more than its cap: what it cannot use goes to the others.
 */
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity } from '../../shared/bus/ports.js';

type Asking = Pick<Activity, 'wants' | 'grantSerial'>;

export interface Loan {
  readonly serial: number;
  readonly rate: number;
  /** Our monotonic clock; the agent's own reckoning ends no later. */
  readonly until: number;
}

interface Borrower {
  wants: boolean;
  cap: number;
  seenAt: number;
  loans: Loan[];
}

export class Governor {
  #budget: number;
  readonly #borrowers = new Map<string, Borrower>();
  readonly #lendsFrom: number;
  #serial: number;

  /**
   * @param budget packets per second, all agents together
   * @param start the serial before the first: above all that a governor before this one gave
   * @param lendsFrom our monotonic clock: nothing is lent before, while what another lent is out
   */
  constructor(budget: number, start = 0, lendsFrom = 0) {
    this.#budget = budget;
    this.#serial = start;
    this.#lendsFrom = lendsFrom;
  }

  /** From now on no more than this is lent; what is out stays out until it lapses or is replaced. */
  set budget(budget: number) {
    this.#budget = budget;
  }

  /** Answers an agent's heartbeat. @param cap packets per second it can use at most */
  answer(agent: string, asking: Asking, cap: number, now: number): Loan {
    const borrower = this.#borrowers.get(agent) ?? { wants: false, cap, seenAt: now, loans: [] };
    this.#borrowers.set(agent, borrower);
    borrower.wants = asking.wants;
    borrower.cap = cap;
    borrower.seenAt = now;
    borrower.loans = borrower.loans.filter(({ serial }) => serial >= asking.grantSerial);
    this.#forgetTheGone(now);
    return this.#lend(agent, borrower, now, now + LIMITS.grantMillis);
  }

  /** A loan in place of the last one, until when that would have lapsed; undefined where none is out. */
  replace(agent: string, now: number): Loan | undefined {
    const borrower = this.#borrowers.get(agent);
    const last = borrower?.loans.at(-1);
    if (borrower === undefined || last === undefined || last.until <= now) return undefined;
    return this.#lend(agent, borrower, now, last.until);
  }

  /** Agents that have a loan. */
  borrowersAt(now: number): readonly string[] {
    const names = [...this.#borrowers.keys()];
    return names.filter((name) =>
      this.#borrowers.get(name)?.loans.some(({ until }) => until > now),
    );
  }

  /** Packets per second that may be in use at `now`. */
  lentAt(now: number): number {
    let lent = 0;
    for (const borrower of this.#borrowers.values()) lent += outstanding(borrower, now);
    return lent;
  }

  /** Packets per second of an agent's last loan. */
  lentTo(agent: string, now: number): number {
    const last = this.#borrowers.get(agent)?.loans.at(-1);
    return last !== undefined && last.until > now ? last.rate : 0;
  }

  #lend(agent: string, borrower: Borrower, now: number, until: number): Loan {
    const rate = borrower.wants && now >= this.#lendsFrom ? this.#share(agent, borrower, now) : 0;
    const loan = { serial: ++this.#serial, rate, until };
    borrower.loans.push(loan);
    return loan;
  }

  #share(agent: string, { cap }: Borrower, now: number): number {
    let elsewhere = 0;
    const caps: number[] = [];
    for (const [name, borrower] of this.#borrowers) {
      if (borrower.wants) caps.push(borrower.cap);
      if (name !== agent) elsewhere += outstanding(borrower, now);
    }
    return Math.max(0, Math.min(cap, evenShare(this.#budget, caps), this.#budget - elsewhere));
  }

  #forgetTheGone(now: number): void {
    for (const [name, borrower] of this.#borrowers) {
      borrower.loans = borrower.loans.filter(({ until }) => until > now);
      if (now - borrower.seenAt > LIMITS.agentGoneMillis) this.#borrowers.delete(name);
    }
  }
}

/** The share of each of those who are not held back by their cap, so that all shares make the budget. */
function evenShare(budget: number, caps: readonly number[]): number {
  let left = budget;
  const ascending = [...caps].sort((a, b) => a - b);
  for (const [i, cap] of ascending.entries()) {
    const share = left / (ascending.length - i);
    if (cap > share) return share;
    left -= cap;
  }
  return Number.POSITIVE_INFINITY; // everyone is held back by his own cap
}

/** The most that an agent may be using: whichever of its loans it goes by. */
function outstanding({ loans }: Borrower, now: number): number {
  let most = 0;
  for (const { rate, until } of loans) if (until > now) most = Math.max(most, rate);
  return most;
}
