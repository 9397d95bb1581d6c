/**
 * The agent's story. It leases shards, sends them at the rate it is lent, listens for
 * replies, reports them, and settles each shard before it lets go. It keeps nothing: whatever it
 * dies with, another agent takes up at the last checkpoint.
 *
 *     offer ─▶ lease ─▶ send ═▶ (the network) ═▶ receive ─▶ note ─▶ report ─▶ settle ─▶ done
 *
 * Five loops run side by side until the signal aborts: care, heartbeat, grants, surveys, exclusions;
 * and one for each survey, which leases its shards.
 */

import { type Clock, every } from '../shared/base/clock.js';
import { describeError } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import { oneLine } from '../shared/base/printable.js';
import { stopController } from '../shared/base/stop.js';
import { PROTOCOL } from '../shared/base/version.js';
import type { Bus, Grant, Heartbeat, ShardOffer } from '../shared/bus/interfaces.js';
import { Exclusions } from '../shared/survey/policy/exclusions.js';
import { isEnding, isOver } from '../shared/survey/survey.js';
import { TEXT } from '../shared/survey/text.js';
import type { Log } from '../shared/telemetry/log.js';
import { HeldShard } from './held-shard.js';
import type { OpenNetworkIo } from './interfaces.js';
import type { JoinedSurvey } from './joined-survey.js';
import { JoinedSurveys, RETRY_MILLIS } from './joined-surveys.js';
import { acquire, type Holder } from './lease/held-lease.js';
import { millisUntilNextLease } from './lease/lease-prefetch.js';

export interface AgentOptions extends Omit<Holder, 'rulesHash'> {
  readonly version: string;
  /** Packets per second it never exceeds, 0 for no limit of its own. */
  readonly ceiling: number;
}

export interface AgentDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly openNetworkIo: OpenNetworkIo;
}

const OFFER_WAIT_MILLIS = 1000;
/** Where no shard may be leased, it is looked again after this. */
const LOOK_MILLIS = 100;
/** Who was told to stand down asks again after this. */
const STOOD_DOWN_MILLIS = 60_000;
const DEAF = 'an interface or an address went away; what was not settled is handed back';

export class Agent {
  readonly surveys: JoinedSurveys;
  readonly #exclusions = new Exclusions();
  readonly #options: AgentOptions;
  readonly #parts: AgentDeps;
  readonly #leaving = stopController();
  /** When our last heartbeats were, by our own clock: what grants may answer. */
  readonly #asked = new Set<number>();
  /** Offers that are being looked into, as `survey/shard`. */
  readonly #taking = new Set<string>();
  /** One loop for each survey that is not ending. */
  readonly #leasing = new Map<string, Promise<void>>();

  constructor(options: AgentOptions, deps: AgentDeps) {
    this.#options = options;
    this.#parts = deps;
    this.surveys = new JoinedSurveys(deps, this.#exclusions);
  }

  /** Works until the signal aborts; then settles what it has sent, hands back the rest, and ends. */
  async run(signal: AbortSignal): Promise<void> {
    const leaving = this.#leaving.signal;
    const left = stopController();
    signal.addEventListener('abort', () => this.#leave(), { once: true });
    if (signal.aborted) this.#leave();
    const { clock } = this.#parts;
    const background = [
      this.#followGrants(left.signal),
      this.#followSurveys(left.signal),
      this.#followExclusions(left.signal),
      every(clock, LIMITS.settlePollMillis, left.signal, () => this.#reconcileAll()),
      every(clock, LIMITS.checkpointMillis, left.signal, () => this.#report()),
    ];
    while (!leaving.aborted) await clock.sleep(LIMITS.settlePollMillis, leaving);
    await Promise.all(this.#leasing.values());
    while (this.surveys.shards.length > 0) await clock.sleep(LIMITS.settlePollMillis);
    this.#report();
    left.abort();
    await Promise.all(background);
    for (const joined of this.surveys.all) await joined.close();
  }

  /**
   * Leases shards of one survey until it ends. As many at once as are wanting: where the broker is far,
   * each takes several round trips.
   */
  async #leaseShards(survey: string): Promise<void> {
    const { clock } = this.#parts;
    const leaving = this.#leaving.signal;
    const leasing = new Set<Promise<void>>();
    while (!leaving.aborted && this.surveys.isActive(survey)) {
      const now = clock.monotonic();
      const enough = this.surveys.canLease(survey)
        ? millisUntilNextLease(this.surveys.get(survey), leasing.size, now)
        : LOOK_MILLIS;
      if (enough > 0) await Promise.race([...leasing, clock.sleep(enough, leaving)]);
      else {
        const one = this.#leaseOne(survey).finally(() => leasing.delete(one));
        leasing.add(one);
      }
    }
    await Promise.all(leasing);
  }

  /** What an offer or a record brings along is not trusted: a bad one is told, and does not end us. */
  async #leaseOne(of: string): Promise<void> {
    const offer = await this.#parts.bus.work.next(of, OFFER_WAIT_MILLIS, this.#leaving.signal);
    if (offer === undefined) return;
    const { survey, shard } = offer;
    const name = `${survey}/${shard}`;
    if (this.#taking.has(name)) return; // redelivered early
    this.#taking.add(name);
    try {
      await this.#take(offer);
    } catch (error) {
      this.#parts.log.error({ survey, shard, error: describeError(error) }, 'offer not taken');
      offer.release(RETRY_MILLIS);
    } finally {
      this.#taking.delete(name);
    }
  }

  /** From an offer to a shard being sent; an offer that cannot be taken is let go or given back. */
  async #take(offer: ShardOffer): Promise<void> {
    const { bus, clock, log } = this.#parts;
    const survey = (await bus.surveys.read(offer.survey))?.value;
    if (survey === undefined) return offer.release(RETRY_MILLIS); // not known here yet
    if (isEnding(survey.state)) return offer.complete();
    if (offer.shard < survey.storedBelow) return offer.complete(); // stored: brokers repeat old messages
    if (survey.state === 'paused') return offer.release(RETRY_MILLIS);
    const joined = await this.surveys.for(survey);
    if (joined === undefined) return offer.release(0); // others may be able to serve it
    if (offer.shard >= joined.plan.shardCount) return offer.complete(); // not of this plan
    const shard = joined.plan.shard(offer.shard);
    if (joined.held.has(shard.number)) return; // redelivered early: the lease is ours already
    const { agent, vantage } = this.#options;
    const holder = { agent, vantage, rulesHash: joined.networkIo.rulesHash };
    const lease = await acquire(bus.leases, survey, shard, holder, clock);
    if (lease.outcome === 'settled') return offer.complete();
    if (lease.outcome === 'taken') return offer.release(LIMITS.workAckMillis);
    const { heldLease } = lease;
    // The station may have been lost meanwhile; the next epoch begins where this one does.
    if (joined.hasLostNetwork) {
      await heldLease.checkpoint(heldLease.report, 'released');
      return offer.release(RETRY_MILLIS);
    }
    const sending = joined.networkIo.sender.send(heldLease.from, shard.to);
    const deps = { survey, shard, holder, heldLease, offer, sending, results: bus.results, clock };
    joined.held.set(shard.number, new HeldShard(deps));
    log.debug({ survey: survey.id, shard: shard.number, epoch: heldLease.epoch }, 'shard leased');
    if (this.#leaving.signal.aborted) this.#leave();
  }

  async #reconcileAll(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    this.#shareCeiling();
    for (const joined of this.surveys.all) {
      const ending = isEnding(joined.survey.state);
      joined.checkNetwork(now);
      for (const [number, shard] of joined.held) {
        if (ending) shard.stop();
        if (shard.isGone) joined.held.delete(number);
        else void this.#reconcileShard(shard, joined.capturedUntil, ending);
      }
      // A rate is lent in answer to a heartbeat: whoever has none asks more often.
      if (joined.shouldAskNow(now)) this.#report();
      if (joined.hasLostNetwork) this.surveys.refuse(joined.survey.id, DEAF, RETRY_MILLIS);
      if ((isOver(joined.survey.state) || joined.hasLostNetwork) && joined.held.size === 0) {
        await this.surveys.close(joined);
      }
    }
  }

  async #reconcileShard(shard: HeldShard, capturedUntil: number, ending: boolean): Promise<void> {
    try {
      await shard.reconcile(capturedUntil, ending);
    } catch (error) {
      this.#parts.log.error({ error: describeError(error) }, 'a shard could not be looked after');
    }
  }

  async #followGrants(signal: AbortSignal): Promise<void> {
    const { agent } = this.#options;
    for await (const grant of this.#parts.bus.grants.subscribe(agent, signal)) {
      if (!this.#isAnswer(grant)) continue;
      const joined = this.surveys.get(grant.survey);
      if (joined === undefined) continue;
      const now = this.#parts.clock.monotonic();
      const before = joined.rateAt(now);
      this.#shareCeiling(); // first: others may have to make room
      joined.take(grant, now);
      if (grant.quarantineReason !== '') {
        this.surveys.refuse(grant.survey, grant.quarantineReason, STOOD_DOWN_MILLIS);
      }
      // What was lent to us beyond this can be lent to others once we say that it is in force.
      if (grant.rate < before) this.#report();
    }
  }

  /**
   * Whether a grant answers one of our own last heartbeats, names us, and lasts no longer than grants may:
   * whatever else it says, we are silent soon after the one who answers us is.
   */
  #isAnswer({ agent, heartbeatAt, ttlMillis }: Grant): boolean {
    const isOurs = agent === this.#options.agent && this.#asked.has(heartbeatAt);
    return isOurs && ttlMillis <= LIMITS.grantMillis;
  }

  /** Divides this agent's own ceiling among the surveys that want some of it. */
  #shareCeiling(): void {
    const { ceiling } = this.#options;
    if (ceiling === 0) return;
    const sharers = this.surveys.all.filter(({ hasWork }) => hasWork).length;
    for (const joined of this.surveys.all) joined.setCeiling(ceiling / Math.max(1, sharers));
  }

  async #followSurveys(signal: AbortSignal): Promise<void> {
    for await (const survey of this.#parts.bus.surveys.watch(signal)) {
      const { id } = survey;
      this.surveys.onSurveyChange(survey);
      if (this.surveys.isActive(id) && !this.#leasing.has(id)) {
        const leasing = this.#leaseShards(id).finally(() => this.#leasing.delete(id));
        this.#leasing.set(id, leasing);
      }
      const joined = this.surveys.get(id);
      if (joined === undefined) continue;
      joined.onSurveyChange(survey);
      this.#report(); // what it may do has changed: ask at once
    }
  }

  async #followExclusions(signal: AbortSignal): Promise<void> {
    for await (const entry of this.#parts.bus.exclusions.watch(signal)) {
      if (!this.#exclusions.add(entry)) continue;
      const surveys = this.surveys.all;
      for (const joined of surveys) joined.setExclusions(this.#exclusions);
      if (surveys.length > 0) this.#report();
    }
  }

  #leave(): void {
    this.#leaving.abort();
    for (const shard of this.surveys.shards) shard.stop();
  }

  #report(): void {
    const heartbeat = this.#heartbeat();
    for (const at of this.#asked) {
      if (at >= heartbeat.sentAt - LIMITS.grantMillis) break; // ascending
      this.#asked.delete(at);
    }
    this.#asked.add(heartbeat.sentAt);
    this.#parts.bus.heartbeats.publish(heartbeat);
  }

  #heartbeat(): Heartbeat {
    const { agent, vantage, version, ceiling } = this.#options;
    const now = this.#parts.clock.monotonic();
    const { all: surveys, problem } = this.surveys;
    const sum = (read: (joined: JoinedSurvey) => number) =>
      surveys.reduce((total, joined) => total + read(joined), 0);
    return {
      agent,
      vantage,
      version,
      protocol: PROTOCOL,
      sentAt: now,
      ceiling,
      invalid: sum(({ rejects }) => rejects['foreign'] ?? 0),
      state: this.#leaving.signal.aborted ? 'leaving' : problem === '' ? 'working' : 'refused',
      problem: oneLine(problem, TEXT.LINE),
      activities: surveys.map((joined) => joined.activity(now)),
    };
  }
}
