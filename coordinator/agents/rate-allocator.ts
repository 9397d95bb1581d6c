/**
 * The rate allocator: divides a survey's rate among the agents with work, max-min fair. It needs no timers:
 * each heartbeat is answered with a grant whose TTL starts at that heartbeat, and a grant counts as in use
 * until it expires, or until the agent's heartbeat names a later grant as the one in force. So the sum of all
 * grants in use never exceeds the budget, even if agents disappear with theirs.
 */
import { assert } from '../../shared/base/assert.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Activity, Grant } from '../../shared/bus/heartbeat.js';
import { MaxMinShare } from './max-min-share.js';

type Demand = Pick<Activity, 'hasWork' | 'grantSerial'>;

/** A grant, as the allocator keeps it. */
export interface IssuedGrant extends Pick<Grant, 'serial' | 'rate'> {
  /** The expiry by our monotonic clock; the agent stops using the grant no later than this. */
  readonly expiresAt: number;
}

interface Grantee {
  hasWork: boolean;
  cap: number;
  /** Ascending by serial; expired ones are removed at the next computation. */
  issued: IssuedGrant[];
  /** The largest rate in `issued`, as of the last computation: never below the rate that the agent uses. */
  inUse: number;
}

/** Expired grants are removed at least this often; until then they count as in use. */
const SWEEP_MILLIS = 100;

export interface AllocatorOptions {
  /** Packets per second, all agents together. */
  readonly budget: number;
  /** Serials start above this one, so that they exceed those of every earlier allocator. */
  readonly serial?: number;
  /**
   * A time by our monotonic clock. Before it, all grants are 0, because grants of a previous coordinator may
   * still be in force.
   */
  readonly grantsFrom?: number;
  /** True if an agent is alive and works on the survey. */
  readonly isServing: (agent: string) => boolean;
}

export class RateAllocator {
  #budget: number;
  readonly #grantees = new Map<string, Grantee>();
  /** The grantees with work. */
  readonly #shares = new MaxMinShare();
  /** The sum of `inUse` over all grantees. */
  #granted = 0;
  #sweptAt = 0;
  #serial: number;
  readonly #grantsFrom: number;
  readonly #isServing: (agent: string) => boolean;

  constructor({ budget, serial = 0, grantsFrom = 0, isServing }: AllocatorOptions) {
    this.#budget = budget;
    this.#serial = serial;
    this.#grantsFrom = grantsFrom;
    this.#isServing = isServing;
  }

  /** Limits new grants; those in force stay until they expire or are replaced. */
  set budget(budget: number) {
    assert(budget >= 0, `the rate budget ${budget} is negative`);
    this.#budget = budget;
  }

  /** Answers a heartbeat. @param cap packets per second that the agent can use at most */
  issue(agent: string, demand: Demand, cap: number, now: number): IssuedGrant {
    if (now - this.#sweptAt >= SWEEP_MILLIS) this.#sweep(now);
    const grantee = this.#grantees.get(agent) ?? { hasWork: false, cap: 0, issued: [], inUse: 0 };
    this.#grantees.set(agent, grantee);
    if (grantee.hasWork) this.#shares.remove(grantee.cap);
    grantee.hasWork = demand.hasWork;
    grantee.cap = cap;
    if (grantee.hasWork) this.#shares.add(cap);
    grantee.issued = grantee.issued.filter(({ serial }) => serial >= demand.grantSerial);
    return this.#issue(grantee, now);
  }

  /** Packets per second that may be in use at `now`, all agents together. */
  grantedAt(now: number): number {
    this.#sweep(now);
    return this.#granted;
  }

  /** Packets per second of an agent's last grant; 0 once it has expired. */
  grantedTo(agent: string, now: number): number {
    const last = this.#grantees.get(agent)?.issued.at(-1);
    return last !== undefined && last.expiresAt > now ? last.rate : 0;
  }

  #issue(grantee: Grantee, now: number): IssuedGrant {
    this.#dropExpired(grantee, now);
    const elsewhere = this.#granted - grantee.inUse;
    const rate = grantee.hasWork && now >= this.#grantsFrom ? this.#share(grantee, elsewhere) : 0;
    assert(
      rate === 0 || elsewhere + rate <= this.#budget * (1 + Number.EPSILON * 1024),
      'the grants in use exceed the budget',
    );
    const grant = { serial: ++this.#serial, rate, expiresAt: now + LIMITS.grantMillis };
    grantee.issued.push(grant);
    grantee.inUse = Math.max(grantee.inUse, rate);
    this.#granted = elsewhere + grantee.inUse;
    return grant;
  }

  #share({ cap }: Grantee, elsewhere: number): number {
    return Math.max(0, Math.min(cap, this.#shares.of(this.#budget), this.#budget - elsewhere));
  }

  /** The agent may be using any grant that has not expired: the largest counts. */
  #dropExpired(grantee: Grantee, now: number): void {
    grantee.issued = grantee.issued.filter(({ expiresAt }) => expiresAt > now);
    this.#granted -= grantee.inUse;
    grantee.inUse = grantee.issued.reduce((most, { rate }) => Math.max(most, rate), 0);
    this.#granted += grantee.inUse;
  }

  /** Drops expired grants and dead agents, and recomputes the sum, so that rounding errors do not add up. */
  #sweep(now: number): void {
    this.#sweptAt = now;
    this.#granted = 0;
    for (const [agent, grantee] of this.#grantees) {
      grantee.inUse = 0;
      this.#dropExpired(grantee, now);
      if (this.#isServing(agent)) continue;
      if (grantee.hasWork) this.#shares.remove(grantee.cap);
      grantee.hasWork = false;
      if (grantee.issued.length === 0) this.#grantees.delete(agent);
    }
  }
}
