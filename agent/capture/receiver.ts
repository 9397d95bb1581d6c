/**
 * The hot path of receiving: frame → dissect → recognise → which position, which shard. It knows the
 * plan and the key and nothing of what was sent; whether a shard is ours is its caller's to say.
 */

import { Target } from '../../shared/net/target.js';
import { Dissection, type LinkLayer, REJECT, REJECT_NAMES } from '../../shared/packet/dissect.js';
import { TcpOptions } from '../../shared/packet/tcp.js';
import { CookieJar } from '../../shared/probe/cookies.js';
import type { Probe } from '../../shared/probe/probe.js';
import type { Plan } from '../../shared/survey/plan.js';

/** A reply that is ours: where its target stands in the order, and what it says. */
export interface Reply {
  readonly position: number;
  readonly shard: number;
  /** A `CLASSIFICATION`. */
  readonly code: number;
  readonly dissection: Dissection;
  readonly options: TcpOptions;
}

export class Receiver {
  readonly #plan: Plan;
  readonly #probe: Probe;
  readonly #cookies: CookieJar;
  readonly #link: LinkLayer;
  readonly #target = new Target();
  readonly #reply: { -readonly [Field in keyof Reply]: Reply[Field] };
  readonly #rejects = new Float64Array(REJECT_NAMES.length);
  #foreign = 0;

  constructor(
    plan: Plan,
    probe: Probe,
    key: Uint8Array,
    source: { link: LinkLayer; view: DataView },
  ) {
    this.#plan = plan;
    this.#probe = probe;
    this.#cookies = new CookieJar(key);
    this.#link = source.link;
    this.#reply = {
      position: 0,
      shard: 0,
      code: 0,
      dissection: new Dissection(source.view),
      options: new TcpOptions(),
    };
  }

  /** Frames dropped so far by reason; `foreign` are those that answer no probe of this survey. */
  get drops(): Readonly<Record<string, number>> {
    const entries = REJECT_NAMES.slice(1).map((name, i) => [name, this.#rejects[i + 1] ?? 0]);
    return { ...Object.fromEntries(entries), foreign: this.#foreign };
  }

  /**
   * Reads the frame in the capture's buffer. The reply returned is the same object each time and
   * holds until the next frame.
   */
  receive(octets: number): Reply | undefined {
    const reply = this.#reply;
    const verdict = reply.dissection.dissect(this.#link, octets);
    if (verdict !== REJECT.OK) {
      this.#rejects[verdict] = (this.#rejects[verdict] as number) + 1;
      return undefined;
    }
    if (!this.#probe.recognise(reply.dissection, this.#cookies, this.#target)) {
      this.#foreign++;
      return undefined;
    }
    const position = this.#plan.positionOf(this.#target);
    if (position < 0) {
      this.#foreign++;
      return undefined;
    }
    reply.position = position;
    reply.shard = Math.floor(position / this.#plan.shardLength);
    reply.code = this.#probe.classify(reply.dissection);
    if (reply.dissection.isTcp) reply.options.read(reply.dissection.tcp);
    else reply.options.clear();
    return reply;
  }
}
