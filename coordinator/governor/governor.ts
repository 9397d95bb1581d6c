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
import { Shares } from './shares.js';

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
  /** The most that it may be using, as of when that was last reckoned: never too little. */
  most: number;
}

/** What has lapsed is found at least this often: until then it counts as lent. */
const SWEEP_MILLIS = 100;

export class Governor {
  #budget: number;
  readonly #borrowers = new Map<string, Borrower>();
  /** Those who want. */
  readonly #shares = new Shares();
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
    if (now - this.#sweptAt >= SWEEP_MILLIS) this.#sweep(now);
    const borrower = this.#borrowers.get(agent) ?? newBorrower();
    this.#borrowers.set(agent, borrower);
    if (borrower.wants) this.#shares.remove(borrower.cap);
    borrower.wants = asking.wants;
    borrower.cap = cap;
    borrower.seenAt = now;
    if (borrower.wants) this.#shares.add(cap);
    borrower.loans = borrower.loans.filter(({ serial }) => serial >= asking.grantSerial);
    return this.#lend(borrower, now, now + LIMITS.grantMillis);
  }

  /** A loan in place of the last one, until when that would have lapsed; undefined where none is out. */
  replace(agent: string, now: number): Loan | undefined {
    const borrower = this.#borrowers.get(agent);
    const last = borrower?.loans.at(-1);
    if (borrower === undefined || last === undefined || last.until <= now) return undefined;
    return this.#lend(borrower, now, last.until);
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
    this.#sweep(now);
    return this.#lent;
  }

  /** Packets per second of an agent's last loan. */
  lentTo(agent: string, now: number): number {
    const last = this.#borrowers.get(agent)?.loans.at(-1);
    return last !== undefined && last.until > now ? last.rate : 0;
  }

  #lend(borrower: Borrower, now: number, until: number): Loan {
    this.#reckon(borrower, now);
    const elsewhere = this.#lent - borrower.most;
    const rate = borrower.wants && now >= this.#lendsFrom ? this.#share(borrower, elsewhere) : 0;
    const loan = { serial: ++this.#serial, rate, until };
    borrower.loans.push(loan);
    borrower.most = Math.max(borrower.most, rate);
    this.#lent = elsewhere + borrower.most;
    return loan;
  }

  #share({ cap }: Borrower, elsewhere: number): number {
    return Math.max(0, Math.min(cap, this.#shares.of(this.#budget), this.#budget - elsewhere));
  }

  /** Forgets a borrower's lapsed loans. It may go by any other: the largest counts. */
  #reckon(borrower: Borrower, now: number): void {
    borrower.loans = borrower.loans.filter(({ until }) => until > now);
    this.#lent -= borrower.most;
    borrower.most = borrower.loans.reduce((most, { rate }) => Math.max(most, rate), 0);
    this.#lent += borrower.most;
  }

  /** Forgets what has lapsed, and who is gone; the sum is made anew. */
  #sweep(now: number): void {
    this.#sweptAt = now;
    this.#lent = 0;
    for (const [name, borrower] of this.#borrowers) {
      borrower.most = 0;
      this.#reckon(borrower, now);
      if (now - borrower.seenAt <= LIMITS.agentGoneMillis) continue;
      if (borrower.wants) this.#shares.remove(borrower.cap);
      this.#lent -= borrower.most;
      this.#borrowers.delete(name);
    }
  }
}

function newBorrower(): Borrower {
  return { wants: false, cap: 0, seenAt: 0, loans: [], most: 0 };
}
