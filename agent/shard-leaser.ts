/** Starts the shards that the coordinator has leased to this agent, and says how many more it could use. */
import type { Clock } from '../shared/base/clock.js';
import type { NewLease } from '../shared/bus/heartbeat.js';
import type { AgentBus } from '../shared/bus/interfaces.js';
import type { Log } from '../shared/telemetry/log.js';
import { HeldShard, type HeldShardDeps, type Holder } from './held-shard.js';
import type { JoinedSurvey } from './joined-survey.js';
import type { JoinedSurveys } from './joined-surveys.js';
import { shardsWanted } from './lease/lease-prefetch.js';

export interface ShardLeaserDeps {
  readonly bus: AgentBus;
  readonly clock: Clock;
  readonly log: Log;
  readonly surveys: JoinedSurveys;
  readonly sign?: HeldShardDeps['sign'];
  /** Called when a shard has ended, and its last report is ready. */
  readonly onEnded: () => void;
}

export class ShardLeaser {
  readonly #holder: Holder;
  readonly #deps: ShardLeaserDeps;
  /** Aborts when the agent stops: then no further shard is leased. */
  readonly #stop: AbortSignal;

  constructor(holder: Holder, deps: ShardLeaserDeps, stop: AbortSignal) {
    this.#holder = holder;
    this.#deps = deps;
    this.#stop = stop;
  }

  /** The number of shards that a survey could use now. */
  wanted(joined: JoinedSurvey, now: number): number {
    if (this.#stop.aborted || !this.#deps.surveys.canLease(joined.survey.id)) return 0;
    return shardsWanted(joined, now);
  }

  /**
   * Starts to send a leased shard. A lease that we cannot use is not reported in the next heartbeat, and so the
   * coordinator frees it.
   */
  open({ survey, shard: number, epoch, from, key }: NewLease): void {
    const { bus, clock, log, surveys, sign, onEnded } = this.#deps;
    const joined = surveys.get(survey);
    if (joined === undefined || joined.hasLostNetwork || joined.held.has(number)) return;
    if (number >= joined.plan.shardCount) return;
    const { classNames, icmpErrors, slowPace, sequence } = joined;
    const { sender } = joined.networkIo;
    const io = { sender, icmpErrors, slowPace, sequence, clock };
    const shard = joined.plan.shard(number);
    if (from < shard.from || from >= shard.to) return;
    const lease = { epoch, from, key };
    const deps = { survey: joined.survey, classNames, shard, holder: this.#holder, lease, ...io };
    const held = new HeldShard({ ...deps, results: bus.results, sign, onEnded });
    joined.held.set(number, held);
    log.debug({ survey, shard: number, epoch }, 'shard leased');
    if (this.#stop.aborted) held.stop();
  }
}
