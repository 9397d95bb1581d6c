/**
 * The hot path of receiving a response: dissected frame → validate the cookie → position and shard → the held
 * shard, which records it. The plan and the key suffice; no log of sent probes is needed. Replies to shards
 * that other agents hold are theirs to report, even if both agents capture on the same interface.
 */
import type { Dissection } from '../../shared/packet/dissect.js';
import { TcpOptions } from '../../shared/packet/tcp.js';
import { CLASSIFICATION_NAMES } from '../../shared/probe/classification.js';
import { CookieMac } from '../../shared/probe/cookies.js';
import type { Probe } from '../../shared/probe/probe.js';
import { probeNamed } from '../../shared/probe/probe-registry.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import { OUTCOME, type Reply, type ReplyRecorder } from '../interfaces.js';

/** Longest plausible round trip: a timestamp echo that is older is not that of our probe. */
const ROUND_TRIP_MICROS_MAX = 600e6;

type MatchedSurvey = Pick<Survey, 'probe' | 'probeOptions' | 'key'>;

/** Valid replies of a survey at an agent, by outcome. */
export class ReplyCounts {
  /** New replies by class. */
  readonly byClass = new Float64Array(CLASSIFICATION_NAMES.length);
  duplicate = 0;
  late = 0;
  /** Replies to shards that this agent does not hold. */
  foreignShard = 0;

  get new(): number {
    return this.byClass.reduce((sum, count) => sum + count, 0);
  }
}

export class ReplyMatcher {
  readonly #plan: Plan;
  readonly #probe: Probe;
  readonly #cookies: CookieMac;
  readonly #reply: { -readonly [Field in keyof Reply]: Reply[Field] };
  readonly #isStamped: boolean;
  readonly #shards: ReadonlyMap<number, ReplyRecorder>;
  readonly #counts: ReplyCounts;

  /**
   * @param dissection each frame is dissected here before `receive` is called
   * @param shards the shards that this agent holds, by number; the map changes as they are leased and end
   */
  constructor(
    plan: Plan,
    survey: MatchedSurvey,
    dissection: Dissection,
    shards: ReadonlyMap<number, ReplyRecorder>,
    counts: ReplyCounts,
  ) {
    this.#plan = plan;
    this.#probe = probeNamed(survey.probe);
    this.#isStamped = this.#probe.isStamped(survey.probeOptions);
    this.#cookies = new CookieMac(survey.key);
    this.#shards = shards;
    this.#counts = counts;
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
   * Reads the dissected frame.
   * @param timestamp capture time, microseconds since the Unix epoch
   * @returns true if the frame answers a probe of this survey, whichever agent sent it
   */
  receive(timestamp: number): boolean {
    const reply = this.#reply;
    if (!this.#probe.validate(reply.dissection, this.#cookies)) return false;
    const position = this.#plan.positionOf(reply.dissection.flow.target);
    if (position < 0) return false;
    reply.shard = Math.floor(position / this.#plan.shardLength);
    const shard = this.#shards.get(reply.shard);
    if (shard === undefined) {
      this.#counts.foreignShard++;
      return true;
    }
    reply.position = position;
    reply.code = this.#probe.classify(reply.dissection);
    if (reply.dissection.isTcp) reply.options.read(reply.dissection.tcp);
    else reply.options.clear();
    reply.roundTrip = this.#roundTrip(timestamp);
    this.#count(reply.code, shard.onReply(reply, timestamp));
    return true;
  }

  #count(code: number, outcome: number): void {
    const counts = this.#counts;
    if (outcome === OUTCOME.NEW) counts.byClass[code] = (counts.byClass[code] as number) + 1;
    else if (outcome === OUTCOME.DUPLICATE) counts.duplicate++;
    else counts.late++;
  }

  /** RFC 7323 §3.2: TSecr of a SYN-ACK is TSval of its SYN: the low 32 bits of our clock in microseconds. */
  #roundTrip(timestamp: number): number {
    const { timestampEcho } = this.#reply.options;
    if (!this.#isStamped || timestampEcho <= 0) return -1;
    const elapsed = (timestamp - timestampEcho) >>> 0;
    return elapsed < ROUND_TRIP_MICROS_MAX ? elapsed : -1;
  }
}
