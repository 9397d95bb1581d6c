/**
 * The hot path of receiving a response: dissected frame → validate the cookie → position and shard. It needs
 * the plan and the key and knows nothing of what was sent; the caller decides whether the shard is ours.
 */

import type { Dissection } from '../../shared/packet/dissect.js';
import { TcpOptions } from '../../shared/packet/tcp.js';
import { CookieMac } from '../../shared/probe/cookies.js';
import type { Probe } from '../../shared/probe/probe.js';
import { probeNamed } from '../../shared/probe/probe-registry.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { Reply } from '../interfaces.js';

/** Echoes of an older clock value are not of this probe. */
const ROUND_TRIP_MICROS_MAX = 600e6;

type ReceiverSurvey = Pick<Survey, 'probe' | 'probeOptions' | 'key'>;

export class Receiver {
  readonly #plan: Plan;
  readonly #probe: Probe;
  readonly #cookies: CookieMac;
  readonly #reply: { -readonly [Field in keyof Reply]: Reply[Field] };
  readonly #isStamped: boolean;

  /** @param dissection each frame is dissected here before `receive` is called */
  constructor(plan: Plan, survey: ReceiverSurvey, dissection: Dissection) {
    this.#plan = plan;
    this.#probe = probeNamed(survey.probe);
    this.#isStamped = this.#probe.isStamped(survey.probeOptions);
    this.#cookies = new CookieMac(survey.key);
    this.#reply = {
      position: 0,
      shard: 0,
      code: 0,
      dissection,
      options: new TcpOptions(),
      roundTrip: -1,
    };
  }

  /**
   * Reads the dissected frame. The returned reply is the same object each time and is valid until the next
   * frame; undefined if the frame answers no probe of this survey.
   * @param timestamp capture time, microseconds since the Unix epoch
   */
  receive(timestamp: number): Reply | undefined {
    const reply = this.#reply;
    if (!this.#probe.validate(reply.dissection, this.#cookies)) return undefined;
    const position = this.#plan.positionOf(reply.dissection.flow.target);
    if (position < 0) return undefined;
    reply.position = position;
    reply.shard = Math.floor(position / this.#plan.shardLength);
    reply.code = this.#probe.classify(reply.dissection);
    if (reply.dissection.isTcp) reply.options.read(reply.dissection.tcp);
    else reply.options.clear();
    reply.roundTrip = this.#roundTrip(timestamp);
    return reply;
  }

  /** RFC 7323 §3.2: TSecr of a SYN-ACK is the TSval of its SYN, and that was the low half of our clock. */
  #roundTrip(timestamp: number): number {
    const { timestampEcho } = this.#reply.options;
    if (!this.#isStamped || timestampEcho <= 0) return -1;
    const elapsed = (timestamp - timestampEcho) >>> 0;
    return elapsed < ROUND_TRIP_MICROS_MAX ? elapsed : -1;
  }
}
