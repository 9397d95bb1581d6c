/**
 * The hot path of receiving a response: dissected frame → position and shard → validate the cookie with the key of
 * the held shard, which records it. The plan and the keys suffice; no log of sent probes is needed. Replies to
 * shards that other agents hold are theirs to report, even if both agents capture on the same interface.
 */
import { type PortRange, portIn, probeIn } from '../../shared/net/ports.js';
import type { Dissection } from '../../shared/packet/dissect.js';
import { OTHER_PORTS_MAX, type ReplyReader } from '../../shared/probe/probe.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { ReplyRecorder } from '../interfaces.js';
import { ShardCookies } from './shard-cookies.js';
import { type DraftReply, type ReplyCounts, ShardMatcher } from './shard-matcher.js';

/** Longest plausible round trip: an older timestamp echo does not belong to our probe. */
const ROUND_TRIP_MICROS_MAX = 600e6;

/**
 * Maximum number of searches per second for the target of an answer from another address. A search takes
 * about 30 µs.
 */
const SEARCHES_PER_SECOND = 1000;

/** How the replies to one probe of the survey are recognised. */
interface ProbeReplies {
  readonly index: number;
  /** Protocol numbers of the transport over IPv4 and IPv6; −1 if the probe has none. */
  readonly protocolV4: number;
  readonly protocolV6: number;
  readonly reader: ReplyReader;
  readonly cookies: ShardCookies;
  /** Target ports of the probe, if they are few: they serve to recognise the sender of a frame as a target. */
  readonly ports: readonly number[];
}

export class ReplyValidator {
  readonly #plan: Plan;
  readonly #probes: readonly ProbeReplies[];
  readonly #matcher: ShardMatcher;
  readonly #reply: DraftReply;
  readonly #dissection: Dissection;
  readonly #counts: ReplyCounts;
  /**
   * Number of searches for the targets of answers from other addresses, and the start of the count
   * (microseconds).
   */
  #searches = 0;
  #searchesSince = 0;

  /**
   * @param ports our source ports
   * @param dissection each frame is dissected here before `receive` is called
   * @param shards the shards that this agent holds, by number; the map changes as they are leased and end
   */
  constructor(
    plan: Plan,
    survey: Pick<Survey, 'probes'>,
    ports: PortRange,
    dissection: Dissection,
    shards: ReadonlyMap<number, ReplyRecorder>,
    counts: ReplyCounts,
  ) {
    this.#plan = plan;
    const set = new ProbeSet(survey.probes);
    this.#matcher = new ShardMatcher(plan, set, shards, counts);
    this.#probes = set.packets.map(({ index, probe, options }) => {
      const protocol = (family: 4 | 6) =>
        probe.families.includes(family) ? probe.protocol(family) : -1;
      const targetPorts = targetPortsOf(plan, index);
      return {
        index,
        ports: targetPorts.length <= OTHER_PORTS_MAX ? targetPorts : [],
        protocolV4: protocol(4),
        protocolV6: protocol(6),
        reader: probe.replies({ options, ports, targetPorts }),
        cookies: new ShardCookies(plan, index, shards),
      };
    });
    this.#dissection = dissection;
    this.#counts = counts;
    this.#reply = { position: 0, code: 0, isSuccess: false, content: dissection, roundTrip: -1 };
  }

  /**
   * Reads the dissected frame.
   * @param timestamp capture time, microseconds since the Unix epoch
   * @returns true if the frame answers a probe of this survey, whichever agent sent it
   */
  receive(timestamp: number): boolean {
    const dissection = this.#dissection;
    const { protocol, isIpv6 } = dissection;
    for (let i = 0; i < this.#probes.length; i++) {
      const probe = this.#probes[i] as ProbeReplies;
      if ((isIpv6 ? probe.protocolV6 : probe.protocolV4) !== protocol) continue;
      if (probe.reader.validate(dissection, probe.cookies) && this.#record(probe, timestamp)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Reads a dissected frame that no survey has taken. An answer from another port or address than the one probed is
   * recorded as a reply if the probe accepts such answers; otherwise it is only counted.
   * @returns true if it answers a probe of this survey
   */
  receiveFromElsewhere(timestamp: number): boolean {
    const { protocol, isIpv6 } = this.#dissection;
    for (const probe of this.#probes) {
      if ((isIpv6 ? probe.protocolV6 : probe.protocolV4) !== protocol) continue;
      if (this.#receiveFromOtherPort(probe, timestamp)) return true;
      if (this.#receiveFromOtherAddress(probe, timestamp)) return true;
    }
    return false;
  }

  #receiveFromOtherPort(probe: ProbeReplies, timestamp: number): boolean {
    const { reader, cookies } = probe;
    if (reader.answersFromOtherPort === undefined || !this.#hasProbed(probe)) return false;
    const { target } = this.#dissection.flow;
    const from = target.port;
    if (!reader.answersFromOtherPort(this.#dissection, cookies)) return false;
    const isOurs = cookies.compute(this.#dissection.flow); // of the target that was found last
    if (isOurs && reader.acceptsOtherPorts) this.#record(probe, timestamp);
    else if (isOurs) this.#counts.otherPort++;
    target.port = from; // other surveys read the frame, too
    return isOurs;
  }

  #receiveFromOtherAddress(probe: ProbeReplies, timestamp: number): boolean {
    const { reader, cookies } = probe;
    if (reader.answersFromOtherAddress === undefined || !this.#maySearch(timestamp)) return false;
    const { target } = this.#dissection.flow;
    const from = target.w3;
    if (!reader.answersFromOtherAddress(this.#dissection, cookies)) return false;
    const isOurs = cookies.compute(this.#dissection.flow);
    if (isOurs && reader.acceptsOtherAddresses) this.#record(probe, timestamp);
    else if (isOurs) this.#counts.otherAddress++;
    target.w3 = from;
    return isOurs;
  }

  /**
   * True if one more search is allowed in this second. A search computes 256 cookies, so the limit keeps a
   * flood of datagrams from causing too many.
   */
  #maySearch(timestamp: number): boolean {
    if (Math.abs(timestamp - this.#searchesSince) >= 1e6) {
      this.#searchesSince = timestamp;
      this.#searches = 0;
    }
    return this.#searches++ < SEARCHES_PER_SECOND;
  }

  /** True if the sender of the frame is an address that a probe is sent to; checked before any cookie is computed. */
  #hasProbed({ index, ports }: ProbeReplies): boolean {
    const { target } = this.#dissection.flow;
    const from = target.port;
    target.probe = index;
    const isTarget = ports.some((port) => {
      target.port = port;
      return this.#plan.space.indexOf(target) >= 0;
    });
    target.port = from;
    return isTarget;
  }

  #record({ index, reader, cookies }: ProbeReplies, timestamp: number): boolean {
    const reply = this.#reply;
    const dissection = this.#dissection;
    const { recorder, position } = cookies;
    if (recorder === undefined) return false;
    reply.position = position;
    if (dissection.isTcp) dissection.tcpOptions.read(dissection.tcp);
    else dissection.tcpOptions.clear();
    const stamp = reader.echoedStamp(dissection);
    const elapsed = stamp <= 0 ? -1 : (timestamp - stamp) >>> 0;
    reply.roundTrip = elapsed < ROUND_TRIP_MICROS_MAX ? elapsed : -1;
    this.#matcher.deliver(recorder, reply, index, reader.classify(dissection), timestamp);
    return true;
  }
}

function targetPortsOf(plan: Plan, probe: number): readonly number[] {
  const { ports, pairs } = plan.space.parts;
  const found = new Set<number>();
  for (const port of ports) if (probeIn(port) === probe) found.add(portIn(port));
  for (const port of pairs.ports) if (probeIn(port) === probe) found.add(portIn(port));
  return [...found];
}
