/**
 * The hot path of receiving: frame → dissect → recognise → which position, which shard. It knows the
 * plan and the key and nothing of what was sent; whether a shard is ours is its caller's to say.
 */

import { Dissection, type LinkLayer, REJECT, REJECT_NAMES } from '../../shared/packet/dissect.js';
import { TcpOptions } from '../../shared/packet/tcp.js';
import { probeNamed } from '../../shared/probe/catalogue.js';
import { CookieJar } from '../../shared/probe/cookies.js';
import type { Probe } from '../../shared/probe/probe.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { Heard } from '../ports.js';

/** An echo of an older clock than this is not of this probe. */
const ROUND_TRIP_MICROS_MAX = 600e6;

type Asked = Pick<Survey, 'probe' | 'probeOptions' | 'key'>;

export class Receiver {
  readonly #plan: Plan;
  readonly #probe: Probe;
  readonly #cookies: CookieJar;
  readonly #link: LinkLayer;
  readonly #reply: { -readonly [Field in keyof Heard]: Heard[Field] };
  readonly #rejects = new Float64Array(REJECT_NAMES.length);
  readonly #isStamped: boolean;
  #foreign = 0;

  constructor(plan: Plan, survey: Asked, source: { link: LinkLayer; view: DataView }) {
    this.#plan = plan;
    this.#probe = probeNamed(survey.probe);
    this.#isStamped = this.#probe.isStamped(survey.probeOptions);
    this.#cookies = new CookieJar(survey.key);
    this.#link = source.link;
    this.#reply = {
      position: 0,
      shard: 0,
      code: 0,
      dissection: new Dissection(source.view),
      options: new TcpOptions(),
      roundTrip: -1,
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
   * @param timestamp when it was captured, microseconds since the Unix epoch
   */
  receive(octets: number, timestamp: number): Heard | undefined {
    const reply = this.#reply;
    const verdict = reply.dissection.dissect(this.#link, octets);
    if (verdict !== REJECT.OK) {
      this.#rejects[verdict] = (this.#rejects[verdict] as number) + 1;
      return undefined;
    }
    if (!this.#probe.recognise(reply.dissection, this.#cookies)) {
      this.#foreign++;
      return undefined;
    }
    const position = this.#plan.positionOf(reply.dissection.flow.target);
    if (position < 0) {
      this.#foreign++;
      return undefined;
    }
    reply.position = position;
    reply.shard = Math.floor(position / this.#plan.shardLength);
    reply.code = this.#probe.classify(reply.dissection);
    if (reply.dissection.isTcp) reply.options.read(reply.dissection.tcp);
    else reply.options.clear();
    reply.roundTrip = this.#roundTrip(timestamp);
    return reply;
  }

  /** RFC 7323 §3.2: TSecr of a SYN-ACK is the TSval of its SYN, and that was our clock's low half. */
  #roundTrip(timestamp: number): number {
    const { timestampEcho } = this.#reply.options;
    if (!this.#isStamped || timestampEcho <= 0) return -1;
    const elapsed = (timestamp - timestampEcho) >>> 0;
    return elapsed < ROUND_TRIP_MICROS_MAX ? elapsed : -1;
  }
}
