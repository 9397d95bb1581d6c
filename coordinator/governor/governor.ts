/**
 * Lends a survey's rate to the agents that want it, in even shares. A pure fold over heartbeats:
 * each is answered with a grant that lapses three seconds after the heartbeat, so the sum of what
 * is out never exceeds the budget, also when agents vanish with theirs. What was lent counts until
 * it lapses, or until the agent's heartbeat names a later grant as the one in force.
 */
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity, Grant } from '../../shared/bus/ports.js';

type Asking = Pick<Activity, 'survey' | 'wants' | 'grantSerial'>;

interface Loan {
  readonly serial: number;
  readonly rate: number;
  /** Our monotonic clock; the agent's own reckoning ends no later. */
  readonly until: number;
}

interface Borrower {
  wants: boolean;
  seenAt: number;
  loans: Loan[];
}

export class Governor {
  readonly #budget: number;
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

  /** Answers an agent's heartbeat. @param at the heartbeat's own time, on the agent's clock */
  answer(agent: string, activity: Asking, at: number, now: number): Grant {
    const borrower = this.#borrowers.get(agent) ?? { wants: false, seenAt: now, loans: [] };
    this.#borrowers.set(agent, borrower);
    borrower.wants = activity.wants;
    borrower.seenAt = now;
    borrower.loans = borrower.loans.filter(({ serial }) => serial >= activity.grantSerial);
    this.#forgetTheGone(now);
    const rate = activity.wants && now >= this.#lendsFrom ? this.#share(agent, now) : 0;
    const serial = ++this.#serial;
    borrower.loans.push({ serial, rate, until: now + LIMITS.grantMillis });
    const { survey } = activity;
    return { survey, agent, serial, rate, answers: at, lasts: LIMITS.grantMillis };
  }

  /** Packets per second that may be in use at `now`. */
  lentAt(now: number): number {
    let lent = 0;
    for (const borrower of this.#borrowers.values()) lent += outstanding(borrower, now);
    return lent;
  }

  #share(agent: string, now: number): number {
    let wanting = 0;
    let elsewhere = 0;
    for (const [name, borrower] of this.#borrowers) {
      if (borrower.wants) wanting++;
      if (name !== agent) elsewhere += outstanding(borrower, now);
    }
    return Math.max(0, Math.min(this.#budget / wanting, this.#budget - elsewhere));
  }

  #forgetTheGone(now: number): void {
    for (const [name, borrower] of this.#borrowers) {
      borrower.loans = borrower.loans.filter(({ until }) => until > now);
      if (now - borrower.seenAt > LIMITS.agentGoneMillis) this.#borrowers.delete(name);
    }
  }
}

/** The most that an agent may be using: whichever of its loans it goes by. */
function outstanding({ loans }: Borrower, now: number): number {
  let most = 0;
  for (const { rate, until } of loans) if (until > now) most = Math.max(most, rate);
  return most;
}
