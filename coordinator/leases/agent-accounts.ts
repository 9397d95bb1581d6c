/**
 * The accounts of a survey's agents: the probes that each has claimed, in the epochs that this coordinator opened,
 * beside those that its grants allowed.
 */
import type { EpochRecord } from '../../shared/survey/lease.js';
import { GrantedProbes } from './granted-probes.js';
import { probedOf } from './report-check.js';

interface Account {
  readonly granted: GrantedProbes;
  /** Probes claimed. */
  probesSent: number;
  /** Settled positions to which a probe was sent. */
  probed: number;
}

/** Samples of granted probes are kept for this long after the cooldown. */
const KEPT_MILLIS = 10_000;

export class AgentAccounts {
  /** In milliseconds. */
  readonly #cooldown: number;
  readonly #accounts = new Map<string, Account>();

  constructor(cooldown: number) {
    this.#cooldown = cooldown;
  }

  /** Records that an agent may send at a rate, in packets per second. @param now our monotonic clock */
  onGrant(agent: string, rate: number, now: number): void {
    const { granted } = this.#accountOf(agent, now);
    granted.onGrant(rate, now);
    granted.forgetBefore(now - this.#cooldown - KEPT_MILLIS);
  }

  /**
   * Adds what an agent claims of an epoch.
   * @returns false if it cannot have sent so many probes, or so many before the cooldown
   */
  claim(agent: string, known: EpochRecord, next: EpochRecord, now: number): boolean {
    const account = this.#accountOf(agent, now);
    account.probesSent += next.probesSent - known.probesSent;
    account.probed += probedOf(next, next.from) - probedOf(known, known.from);
    const { granted, probesSent, probed } = account;
    const isSent = probesSent <= granted.mostBy(now, now);
    return isSent && probed <= granted.mostBy(now - this.#cooldown, now);
  }

  #accountOf(agent: string, now: number): Account {
    const known = this.#accounts.get(agent);
    if (known !== undefined) return known;
    const account = { granted: new GrantedProbes(now), probesSent: 0, probed: 0 };
    this.#accounts.set(agent, account);
    return account;
  }
}
