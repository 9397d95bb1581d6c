/**
 * Leases shards of the surveys that this agent serves: pulls offers, opens leases, and starts sending.
 * Several offers are processed at once, because each takes several round trips to the broker.
 */
import { assert } from '../shared/base/assert.js';
import type { Clock } from '../shared/base/clock.js';
import { describeError } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import type { Bus, ShardOffer } from '../shared/bus/interfaces.js';
import { isEnding } from '../shared/survey/survey.js';
import type { Log } from '../shared/telemetry/log.js';
import { HeldShard } from './held-shard.js';
import { type JoinedSurveys, RETRY_MILLIS } from './joined-surveys.js';
import { millisUntilNextLease } from './lease/lease-prefetch.js';
import { type Holder, openLease } from './lease/open-lease.js';

const OFFER_WAIT_MILLIS = 1000;
/** Interval of checks while no shard may be leased. */
const POLL_MILLIS = 100;

export interface ShardLeaserDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly surveys: JoinedSurveys;
}

export class ShardLeaser {
  readonly #holder: Omit<Holder, 'rulesHash'>;
  readonly #deps: ShardLeaserDeps;
  /** Aborts when the agent stops: then no further shard is leased. */
  readonly #stop: AbortSignal;
  /** Offers that are being processed, as `survey/shard`. */
  readonly #processing = new Set<string>();
  /** One loop per active survey. */
  readonly #loops = new Map<string, Promise<void>>();

  constructor(holder: Omit<Holder, 'rulesHash'>, deps: ShardLeaserDeps, stop: AbortSignal) {
    this.#holder = holder;
    this.#deps = deps;
    this.#stop = stop;
  }

  /** Starts the loop that leases shards of a survey, unless that loop already runs. The loop ends with the survey. */
  start(survey: string): void {
    if (this.#loops.has(survey)) return;
    const loop = this.#leaseShards(survey).finally(() => this.#loops.delete(survey));
    this.#loops.set(survey, loop);
  }

  /** Resolves once all loops have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#loops.values());
  }

  async #leaseShards(survey: string): Promise<void> {
    const { clock, surveys } = this.#deps;
    const leasing = new Set<Promise<void>>();
    while (!this.#stop.aborted && surveys.isActive(survey)) {
      const now = clock.monotonic();
      const millis = surveys.canLease(survey)
        ? millisUntilNextLease(surveys.get(survey), leasing.size, now)
        : POLL_MILLIS;
      if (millis > 0) await Promise.race([...leasing, clock.sleep(millis, this.#stop)]);
      else {
        const one = this.#leaseNext(survey).finally(() => leasing.delete(one));
        leasing.add(one);
        assert(leasing.size <= LIMITS.leasingAtOnce, `${leasing.size} shards are being leased`);
      }
    }
    await Promise.all(leasing);
  }

  /**
   * Leases the next shard on offer. If the offer or a record is malformed, the error is logged, and the offer
   * is released.
   */
  async #leaseNext(of: string): Promise<void> {
    const { bus, log } = this.#deps;
    const offer = await bus.work.next(of, OFFER_WAIT_MILLIS, this.#stop);
    if (offer === undefined) return;
    const { survey, shard } = offer;
    const name = `${survey}/${shard}`;
    if (this.#processing.has(name)) return; // redelivered early
    this.#processing.add(name);
    try {
      await this.#lease(offer);
    } catch (error) {
      log.error({ survey, shard, error: describeError(error) }, 'failed to lease shard');
      offer.release(RETRY_MILLIS);
    } finally {
      this.#processing.delete(name);
    }
  }

  /** Opens the lease of an offered shard and starts to send it; completes or releases an unusable offer. */
  async #lease(offer: ShardOffer): Promise<void> {
    const { bus, clock, log, surveys } = this.#deps;
    const survey = (await bus.surveys.read(offer.survey))?.value;
    if (survey === undefined) return offer.release(RETRY_MILLIS); // not known here yet
    if (isEnding(survey.state)) return offer.complete();
    if (offer.shard < survey.storedBelow) return offer.complete(); // the broker repeated an old message
    if (survey.state === 'paused') return offer.release(RETRY_MILLIS);
    const joined = await surveys.join(survey);
    if (joined === undefined) return offer.release(0); // other agents may be able to serve it
    if (offer.shard >= joined.plan.shardCount) return offer.complete(); // not of this plan
    const shard = joined.plan.shard(offer.shard);
    if (joined.held.has(shard.number)) return; // redelivered early: the lease is ours already
    const holder = { ...this.#holder, rulesHash: joined.networkIo.rulesHash };
    const opened = await openLease(bus.leases, survey, shard, holder, clock);
    if (opened.outcome === 'settled') return offer.complete();
    if (opened.outcome === 'taken') return offer.release(LIMITS.workAckMillis);
    const { lease } = opened;
    // If the network was lost meanwhile, releases the lease: the next epoch starts at the same position.
    if (joined.hasLostNetwork) {
      await lease.checkpoint(lease.record, 'released');
      return offer.release(RETRY_MILLIS);
    }
    const { classNames, icmpErrors, slowPace, sequence } = joined;
    const { sender } = joined.networkIo;
    const io = { sender, icmpErrors, slowPace, sequence, clock };
    const deps = { survey, classNames, shard, holder, lease, offer, ...io };
    const held = new HeldShard({ ...deps, resultStream: bus.results });
    joined.held.set(shard.number, held);
    log.debug({ survey: survey.id, shard: shard.number, epoch: lease.epoch }, 'shard leased');
    if (this.#stop.aborted) held.stop();
  }
}
