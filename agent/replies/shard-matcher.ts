/**
 * The last step of receiving, for packets and connections alike: finds the held shard of a reply's position,
 * and lets it record the reply. Replies to shards that other agents hold are left to those agents.
 */
import { CLASSES_MAX, type ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import { OUTCOME, type Reply, type ReplyRecorder } from '../interfaces.js';

/** Valid replies of a survey at an agent, by outcome. */
export class ReplyCounts {
  /** New replies by the code of their class. */
  readonly byCode = new Float64Array(CLASSES_MAX + 1);
  duplicate = 0;
  late = 0;
  /** Replies from another port than the one probed, which the survey does not accept. */
  otherPort = 0;
  /** The same for another address. */
  otherAddress = 0;

  get new(): number {
    return this.byCode.reduce((sum, count) => sum + count, 0);
  }
}

/** A reply under construction. */
export type DraftReply = { -readonly [Field in keyof Reply]: Reply[Field] };

export class ShardMatcher {
  readonly #plan: Plan;
  readonly #shards: ReadonlyMap<number, ReplyRecorder>;
  readonly #counts: ReplyCounts;
  /** By probe and index of a class in its list: the code of the class, and whether it is a success. */
  readonly #codes: readonly (readonly number[])[];
  readonly #successes: readonly (readonly boolean[])[];

  /** @param shards the shards that this agent holds, by number; the map changes as they are leased and end */
  constructor(
    plan: Plan,
    set: ProbeSet,
    shards: ReadonlyMap<number, ReplyRecorder>,
    counts: ReplyCounts,
  ) {
    this.#plan = plan;
    this.#shards = shards;
    this.#counts = counts;
    const classes = set.all.map(({ probe }) => probe.classes);
    this.#codes = classes.map((each) => each.map(({ name }) => set.codeOf(name)));
    this.#successes = classes.map((each) => each.map(({ isSuccess }) => isSuccess));
  }

  /** The shard of a position, if this agent holds it. */
  recorderOf(position: number): ReplyRecorder | undefined {
    return this.#shards.get(Math.floor(position / this.#plan.shardLength));
  }

  /**
   * Completes a reply whose position, content and round trip are set, and records it.
   * @param probe index of the probe that it answers
   * @param place index of its class in the probe's list
   * @param timestamp microseconds since the Unix epoch
   */
  deliver(
    recorder: ReplyRecorder,
    reply: DraftReply,
    probe: number,
    place: number,
    timestamp: number,
  ): void {
    const code = this.#codes[probe]?.[place] as number;
    reply.code = code;
    reply.isSuccess = this.#successes[probe]?.[place] as boolean;
    const outcome = recorder.onReply(reply, timestamp);
    const counts = this.#counts;
    if (outcome === OUTCOME.NEW) counts.byCode[code] = (counts.byCode[code] as number) + 1;
    else if (outcome === OUTCOME.DUPLICATE) counts.duplicate++;
    else counts.late++;
  }
}
