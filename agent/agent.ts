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
import type { Bus, Grant, Heartbeat, ShardOffer } from '../shared/bus/ports.js';
import { Exclusions } from '../shared/survey/exclusions.js';
import { isEnding, isOver } from '../shared/survey/survey.js';
import { TEXT } from '../shared/survey/text.js';
import type { Log } from '../shared/telemetry/log.js';
import { HeldShard } from './held-shard.js';
import { enoughMillis } from './lease/appetite.js';
import { acquire, type Holder } from './lease/holding.js';
import type { Mission } from './mission.js';
import { Missions, REFUSED_MILLIS } from './missions.js';
import type { OpenStation } from './ports.js';

export interface AgentOptions extends Omit<Holder, 'rulesHash'> {
  readonly version: string;
  /** Packets per second it never exceeds, 0 for no limit of its own. */
  readonly ceiling: number;
}

export interface AgentParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly openStation: OpenStation;
}

const OFFER_WAIT_MILLIS = 1000;
/** Where no shard may be leased, it is looked again after this. */
const LOOK_MILLIS = 100;
/** Who was told to stand down asks again after this. */
const STOOD_DOWN_MILLIS = 60_000;
const DEAF = 'an interface or an address went away; what was not settled is handed back';

export class Agent {
  readonly missions: Missions;
  readonly #exclusions = new Exclusions();
  readonly #options: AgentOptions;
  readonly #parts: AgentParts;
  readonly #leaving = stopController();
  /** When our last heartbeats were, by our own clock: what grants may answer. */
  readonly #asked = new Set<number>();
  /** Offers that are being looked into, as `survey/shard`. */
  readonly #taking = new Set<string>();
  /** One loop for each survey that is not ending. */
  readonly #leasing = new Map<string, Promise<void>>();

  constructor(options: AgentOptions, parts: AgentParts) {
    this.#options = options;
    this.#parts = parts;
    this.missions = new Missions(parts, this.#exclusions);
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
      every(clock, LIMITS.settleMillis, left.signal, () => this.#careForAll()),
      every(clock, LIMITS.checkpointMillis, left.signal, () => this.#report()),
    ];
    while (!leaving.aborted) await clock.sleep(LIMITS.settleMillis, leaving);
    await Promise.all(this.#leasing.values());
    while (this.missions.shards.length > 0) await clock.sleep(LIMITS.settleMillis);
    this.#report();
    left.abort();
    await Promise.all(background);
    for (const mission of this.missions.all) await mission.close();
  }

  /**
   * Leases shards of one survey until it ends. As many at once as are wanting: where the broker is far,
   * each takes several round trips.
   */
  async #leaseShards(survey: string): Promise<void> {
    const { clock } = this.#parts;
    const leaving = this.#leaving.signal;
    const leasing = new Set<Promise<void>>();
    while (!leaving.aborted && this.missions.isGoingOn(survey)) {
      const now = clock.monotonic();
      const enough = this.missions.mayLease(survey)
        ? enoughMillis(this.missions.get(survey), leasing.size, now)
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
      offer.giveBack(REFUSED_MILLIS);
    } finally {
      this.#taking.delete(name);
    }
  }

  /** From an offer to a shard being sent; an offer that cannot be taken is let go or given back. */
  async #take(offer: ShardOffer): Promise<void> {
    const { bus, clock, log } = this.#parts;
    const survey = (await bus.surveys.read(offer.survey))?.value;
    if (survey === undefined) return offer.giveBack(REFUSED_MILLIS); // not known here yet
    if (isEnding(survey.state)) return offer.done();
    if (offer.shard < survey.frontier) return offer.done(); // stored: brokers repeat old messages
    if (survey.state === 'paused') return offer.giveBack(REFUSED_MILLIS);
    const mission = await this.missions.for(survey);
    if (mission === undefined) return offer.giveBack(0); // others may be able to serve it
    if (offer.shard >= mission.plan.shardCount) return offer.done(); // not of this plan
    const shard = mission.plan.shard(offer.shard);
    if (mission.held.has(shard.number)) return; // redelivered early: the lease is ours already
    const { agent, vantage } = this.#options;
    const holder = { agent, vantage, rulesHash: mission.station.rulesHash };
    const lease = await acquire(bus.leases, survey, shard, holder, clock);
    if (lease.outcome === 'settled') return offer.done();
    if (lease.outcome === 'taken') return offer.giveBack(LIMITS.workAckMillis);
    const { holding } = lease;
    // The station may have been lost meanwhile; the next epoch begins where this one does.
    if (mission.isDeaf) {
      await holding.checkpoint(holding.report, 'released');
      return offer.giveBack(REFUSED_MILLIS);
    }
    const sending = mission.station.sender.send(holding.from, shard.to);
    const parts = { survey, shard, holder, holding, offer, sending, results: bus.results, clock };
    mission.held.set(shard.number, new HeldShard(parts));
    log.debug({ survey: survey.id, shard: shard.number, epoch: holding.epoch }, 'shard leased');
    if (this.#leaving.signal.aborted) this.#leave();
  }

  async #careForAll(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    this.#shareCeiling();
    for (const mission of this.missions.all) {
      const ending = isEnding(mission.survey.state);
      mission.lookAround(now);
      for (const [number, shard] of mission.held) {
        if (ending) shard.stop();
        if (shard.isGone) mission.held.delete(number);
        else void this.#careFor(shard, mission.heardUntil, ending);
      }
      // A rate is lent in answer to a heartbeat: whoever has none asks more often.
      if (mission.isImpatient(now)) this.#report();
      if (mission.isDeaf) this.missions.refuse(mission.survey.id, DEAF, REFUSED_MILLIS);
      if ((isOver(mission.survey.state) || mission.isDeaf) && mission.held.size === 0) {
        await this.missions.close(mission);
      }
    }
  }

  async #careFor(shard: HeldShard, heardUntil: number, ending: boolean): Promise<void> {
    try {
      await shard.care(heardUntil, ending);
    } catch (error) {
      this.#parts.log.error({ error: describeError(error) }, 'a shard could not be looked after');
    }
  }

  async #followGrants(signal: AbortSignal): Promise<void> {
    const { agent } = this.#options;
    for await (const grant of this.#parts.bus.rates.grants(agent, signal)) {
      if (!this.#isAnswer(grant)) continue;
      const mission = this.missions.get(grant.survey);
      if (mission === undefined) continue;
      const now = this.#parts.clock.monotonic();
      const before = mission.rateAt(now);
      this.#shareCeiling(); // first: others may have to make room
      mission.take(grant, now);
      if (grant.standDown !== '') {
        this.missions.refuse(grant.survey, grant.standDown, STOOD_DOWN_MILLIS);
      }
      // What was lent to us beyond this can be lent to others once we say that it is in force.
      if (grant.rate < before) this.#report();
    }
  }

  /**
   * Whether a grant answers one of our own last heartbeats, names us, and lasts no longer than grants may:
   * whatever else it says, we are silent soon after the one who answers us is.
   */
  #isAnswer({ agent, answers, lasts }: Grant): boolean {
    const isOurs = agent === this.#options.agent && this.#asked.has(answers);
    return isOurs && lasts <= LIMITS.grantMillis;
  }

  /** Divides this agent's own ceiling among the surveys that want some of it. */
  #shareCeiling(): void {
    const { ceiling } = this.#options;
    if (ceiling === 0) return;
    const sharers = this.missions.all.filter(({ wants }) => wants).length;
    for (const mission of this.missions.all) mission.limit(ceiling / Math.max(1, sharers));
  }

  async #followSurveys(signal: AbortSignal): Promise<void> {
    for await (const survey of this.#parts.bus.surveys.watch(signal)) {
      const { id } = survey;
      this.missions.hear(survey);
      if (this.missions.isGoingOn(id) && !this.#leasing.has(id)) {
        const leasing = this.#leaseShards(id).finally(() => this.#leasing.delete(id));
        this.#leasing.set(id, leasing);
      }
      const mission = this.missions.get(id);
      if (mission === undefined) continue;
      mission.become(survey);
      this.#report(); // what it may do has changed: ask at once
    }
  }

  async #followExclusions(signal: AbortSignal): Promise<void> {
    for await (const entry of this.#parts.bus.exclusions.watch(signal)) {
      if (!this.#exclusions.add(entry)) continue;
      const missions = this.missions.all;
      for (const mission of missions) mission.obey(this.#exclusions);
      if (missions.length > 0) this.#report();
    }
  }

  #leave(): void {
    this.#leaving.abort();
    for (const shard of this.missions.shards) shard.stop();
  }

  #report(): void {
    const heartbeat = this.#heartbeat();
    for (const at of this.#asked) {
      if (at >= heartbeat.at - LIMITS.grantMillis) break; // ascending
      this.#asked.delete(at);
    }
    this.#asked.add(heartbeat.at);
    this.#parts.bus.rollCall.report(heartbeat);
  }

  #heartbeat(): Heartbeat {
    const { agent, vantage, version, ceiling } = this.#options;
    const now = this.#parts.clock.monotonic();
    const { all: missions, trouble } = this.missions;
    const sum = (read: (mission: Mission) => number) =>
      missions.reduce((total, mission) => total + read(mission), 0);
    return {
      agent,
      vantage,
      version,
      protocol: PROTOCOL,
      at: now,
      ceiling,
      invalid: sum(({ rejects }) => rejects['foreign'] ?? 0),
      state: this.#leaving.signal.aborted ? 'leaving' : trouble === '' ? 'working' : 'refused',
      trouble: oneLine(trouble, TEXT.LINE),
      activities: missions.map((mission) => mission.activity(now)),
    };
  }
}
