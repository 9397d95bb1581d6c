/**
 * The cookies of the replies to one probe: each held shard has a key of its own, so the shard of a flow's target
 * decides which key applies. Flows of other shards have no cookie here; their holders validate them.
 */
import type { Flow, Target } from '../../shared/net/endpoint.js';
import type { PortRange } from '../../shared/net/ports.js';
import type { CookieMac, Cookies } from '../../shared/probe/cookies.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { ReplyRecorder } from '../interfaces.js';

export class ShardCookies implements Cookies {
  readonly #plan: Plan;
  readonly #probe: number;
  readonly #shards: ReadonlyMap<number, ReplyRecorder>;
  #mac: CookieMac | undefined;
  /** Position and holder of the last flow; undefined if its shard is not held. */
  position = -1;
  recorder: ReplyRecorder | undefined;

  /** @param shards the shards that this agent holds, by number; the map changes as they are leased and end */
  constructor(plan: Plan, probe: number, shards: ReadonlyMap<number, ReplyRecorder>) {
    this.#plan = plan;
    this.#probe = probe;
    this.#shards = shards;
  }

  get sequence(): number {
    return this.#mac?.sequence ?? 0;
  }

  get second(): number {
    return this.#mac?.second ?? 0;
  }

  compute(flow: Flow, ourPort?: number): boolean {
    const { target } = flow;
    target.probe = this.#probe;
    this.position = this.#plan.positionOf(target);
    const shard = Math.floor(this.position / this.#plan.shardLength);
    this.recorder = this.position < 0 ? undefined : this.#shards.get(shard);
    this.#mac = this.recorder?.cookiesOf(this.#probe);
    return this.#mac?.compute(flow, ourPort) ?? false;
  }

  sourcePortTo(target: Target, from: PortRange): number {
    return this.#mac?.sourcePortTo(target, from) ?? -1;
  }
}
