/**
 * The hot path of receiving a response: dissected frame → validate the cookie → position and shard → the held
 * shard, which records it. The plan and the key suffice; no log of sent probes is needed. Replies to shards
 * that other agents hold are theirs to report, even if both agents capture on the same interface.
 */
import { type PortRange, portIn, probeIn } from '../../shared/net/ports.js';
import type { Dissection } from '../../shared/packet/dissect.js';
import { CookieMac, probeKey } from '../../shared/probe/cookies.js';
import type { ReplyReader } from '../../shared/probe/probe.js';
import { CLASSES_MAX, ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import { OUTCOME, type Reply, type ReplyRecorder } from '../interfaces.js';

/** Longest plausible round trip: a timestamp echo that is older is not that of our probe. */
const ROUND_TRIP_MICROS_MAX = 600e6;

/** Valid replies of a survey at an agent, by outcome. */
export class ReplyCounts {
  /** New replies by the code of their class. */
  readonly byCode = new Float64Array(CLASSES_MAX + 1);
  duplicate = 0;
  late = 0;
  /** Replies to shards that this agent does not hold. */
  foreignShard = 0;
  /** Replies from another port than the one probed, which the survey does not accept. */
  otherPort = 0;

  get new(): number {
    return this.byCode.reduce((sum, count) => sum + count, 0);
  }
}

/** How the replies to one probe of the survey are recognised. */
interface ProbeReplies {
  readonly index: number;
  /** Protocol numbers of the transport over IPv4 and IPv6; −1 if the probe has none. */
  readonly protocolV4: number;
  readonly protocolV6: number;
  readonly reader: ReplyReader;
  readonly cookies: CookieMac;
  /** By index of a class of the probe: its code, and whether it is a success. */
  readonly codes: readonly number[];
  readonly isSuccess: readonly boolean[];
}

export class ReplyMatcher {
  readonly #plan: Plan;
  readonly #probes: readonly ProbeReplies[];
  readonly #reply: { -readonly [Field in keyof Reply]: Reply[Field] };
  readonly #shards: ReadonlyMap<number, ReplyRecorder>;
  readonly #counts: ReplyCounts;

  /**
   * @param ports our source ports
   * @param dissection each frame is dissected here before `receive` is called
   * @param shards the shards that this agent holds, by number; the map changes as they are leased and end
   */
  constructor(
    plan: Plan,
    survey: Pick<Survey, 'probes' | 'key'>,
    ports: PortRange,
    dissection: Dissection,
    shards: ReadonlyMap<number, ReplyRecorder>,
    counts: ReplyCounts,
  ) {
    this.#plan = plan;
    const set = new ProbeSet(survey.probes);
    this.#probes = set.all.map(({ index, probe, options }) => {
      const protocol = (family: 4 | 6) =>
        probe.families.includes(family) ? probe.protocol(family) : -1;
      return {
        index,
        protocolV4: protocol(4),
        protocolV6: protocol(6),
        reader: probe.replies({ options, ports, targetPorts: targetPortsOf(plan, index) }),
        cookies: new CookieMac(probeKey(survey.key, index)),
        codes: probe.classes.map(({ name }) => set.codeOf(name)),
        isSuccess: probe.classes.map(({ isSuccess }) => isSuccess),
      };
    });
    this.#shards = shards;
    this.#counts = counts;
    this.#reply = {
      position: 0,
      shard: 0,
      code: 0,
      isSuccess: false,
      dissection,
      roundTrip: -1,
    };
  }

  /**
   * Reads the dissected frame.
   * @param timestamp capture time, microseconds since the Unix epoch
   * @returns true if the frame answers a probe of this survey, whichever agent sent it
   */
  receive(timestamp: number): boolean {
    const { dissection } = this.#reply;
    const { protocol, isIpv6 } = dissection;
    for (let i = 0; i < this.#probes.length; i++) {
      const probe = this.#probes[i] as ProbeReplies;
      if ((isIpv6 ? probe.protocolV6 : probe.protocolV4) !== protocol) continue;
      if (probe.reader.validate(dissection, probe.cookies) && this.#record(probe, timestamp)) {
        return true;
      }
    }
    return this.#isFromOtherPort();
  }

  #isFromOtherPort(): boolean {
    const { dissection } = this.#reply;
    for (const { reader, cookies, index, protocolV4 } of this.#probes) {
      if (protocolV4 !== dissection.protocol || !reader.answersFromOtherPort) continue;
      if (!reader.answersFromOtherPort(dissection, cookies)) continue;
      dissection.flow.target.probe = index;
      if (this.#plan.positionOf(dissection.flow.target) < 0) continue;
      this.#counts.otherPort++;
      return true;
    }
    return false;
  }

  #record(probe: ProbeReplies, timestamp: number): boolean {
    const { index, reader } = probe;
    const reply = this.#reply;
    const { dissection } = reply;
    const { target } = dissection.flow;
    target.probe = index;
    const position = this.#plan.positionOf(target);
    if (position < 0) return false;
    reply.shard = Math.floor(position / this.#plan.shardLength);
    const shard = this.#shards.get(reply.shard);
    if (shard === undefined) {
      this.#counts.foreignShard++;
      return true;
    }
    reply.position = position;
    const place = reader.classify(dissection);
    reply.code = probe.codes[place] as number;
    reply.isSuccess = probe.isSuccess[place] as boolean;
    if (dissection.isTcp) dissection.tcpOptions.read(dissection.tcp);
    else dissection.tcpOptions.clear();
    const stamp = reader.echoedStamp(dissection);
    const elapsed = stamp <= 0 ? -1 : (timestamp - stamp) >>> 0;
    reply.roundTrip = elapsed < ROUND_TRIP_MICROS_MAX ? elapsed : -1;
    this.#count(reply.code, shard.onReply(reply, timestamp));
    return true;
  }

  #count(code: number, outcome: number): void {
    const counts = this.#counts;
    if (outcome === OUTCOME.NEW) counts.byCode[code] = (counts.byCode[code] as number) + 1;
    else if (outcome === OUTCOME.DUPLICATE) counts.duplicate++;
    else counts.late++;
  }
}

function targetPortsOf(plan: Plan, probe: number): readonly number[] {
  const { ports } = plan.space.parts;
  return ports.filter((port) => probeIn(port) === probe).map(portIn);
}
