/**
 * One survey in this agent's hands: its plan, its station on the network, the shards it holds, and
 * the rate it was lent. Replies find their shard through the plan; those to shards that other agents
 * hold are theirs to report, also where both listen on the same interface.
 */
import type { Clock } from '../shared/base/clock.js';
import { Fault } from '../shared/base/faults.js';
import type { Activity, Bus, Grant, IoStats } from '../shared/bus/interfaces.js';
import { CLASSIFICATION_NAMES } from '../shared/probe/classification.js';
import { Plan } from '../shared/survey/plan.js';
import type { Exclusions } from '../shared/survey/policy/exclusions.js';
import { refuseOtherBytes, spaceFromBytes } from '../shared/survey/space/space-bytes.js';
import { isEnding, type Survey } from '../shared/survey/survey.js';
import { Receiver } from './capture/receiver.js';
import type { HeldShard } from './held-shard.js';
import type { Capture, NetworkIo, OpenNetworkIo } from './interfaces.js';
import { RECORDED } from './results/shard-results.js';

/** Rates are measured over at least this. */
const RATE_WINDOW_MILLIS = 500;
/** Whoever has nothing lent asks again after this; who asked often in vain, with every heartbeat only. */
const ASK_MILLIS = 100;
const ASKS_MAX = 20;
/** An agent is thought able to send so many shards a second more than it lately did. */
const PACE_SHARDS = 16;

export class JoinedSurvey {
  survey: Survey;
  readonly plan: Plan;
  readonly networkIo: NetworkIo;
  readonly held = new Map<number, HeldShard>();
  /** Replies by class; then repeated, late, and to shards that are not ours. */
  readonly replies = new Float64Array(CLASSIFICATION_NAMES.length);
  repeated = 0;
  late = 0;
  elsewhere = 0;
  /** Our monotonic clock: interfaces were up, and replies have been read, until then. */
  #heardUntil: number;
  #lookedAt: number;
  #isDeaf = false;
  #askAt = 0;
  #asks = 0;
  #grant: Grant | undefined;
  /** Packets per second that this agent sends at most for this survey. */
  #ceiling = Number.POSITIVE_INFINITY;
  #rate = 0;
  #sentBefore = 0;
  #rateAt: number;

  constructor(survey: Survey, plan: Plan, networkIo: NetworkIo, now: number) {
    this.survey = survey;
    this.plan = plan;
    this.networkIo = networkIo;
    this.#rateAt = now;
    this.#heardUntil = now;
    this.#lookedAt = now;
    for (const capture of networkIo.captures) this.#listen(capture);
  }

  /** Frames that are no replies of ours, by reason. */
  get rejects(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const { rejects } of this.networkIo.captures) {
      for (const [reason, count] of Object.entries(rejects)) {
        sums[reason] = (sums[reason] ?? 0) + count;
      }
    }
    return sums;
  }

  /** What it sends and listens with, and how that fares. */
  get ioStats(): IoStats {
    const { sender, captures } = this.networkIo;
    const sums = { framesReceived: 0, framesDropped: 0, interfaceDropped: 0 };
    for (const { totals } of captures) {
      sums.framesReceived += totals.framesReceived;
      sums.framesDropped += totals.framesDropped;
      sums.interfaceDropped += totals.interfaceDropped;
    }
    return { transmit: sender.transmit, sendErrors: sender.totals.sendErrors, ...sums };
  }

  /** Whether an interface or an address went away: then this station is of no more use. */
  get hasLostNetwork(): boolean {
    return this.#isDeaf;
  }

  /** Our monotonic clock: replies that came until then have been read. */
  get capturedUntil(): number {
    return this.#heardUntil;
  }

  /**
   * Looks whether replies can still be heard; if not, what has not settled is handed back. What had come
   * when it looked last counts as heard once every capture has read that far.
   */
  checkNetwork(now: number): void {
    if (!this.#isDeaf && this.networkIo.isUp()) {
      const read = this.networkIo.captures.map(({ readUntil }) => readUntil);
      this.#heardUntil = Math.max(this.#heardUntil, Math.min(this.#lookedAt, ...read));
      this.#lookedAt = now;
    } else {
      this.#isDeaf = true;
      for (const shard of this.held.values()) shard.releaseFrom(this.#heardUntil);
    }
  }

  /** Positions leased and not yet sent. */
  get unsent(): number {
    let unsent = 0;
    for (const shard of this.held.values()) unsent += shard.left;
    return unsent;
  }

  /** Whether it has targets to send, and may. */
  get hasWork(): boolean {
    return this.survey.state === 'running' && this.unsent > 0;
  }

  /** Whether it is time to ask for a rate out of turn: it has something to send, and nothing lent. */
  shouldAskNow(now: number): boolean {
    if (!this.hasWork || this.rateAt(now) > 0) {
      this.#asks = 0;
      return false;
    }
    if (now < this.#askAt || this.#asks >= ASKS_MAX) return false;
    this.#askAt = now + ASK_MILLIS;
    this.#asks++;
    return true;
  }

  /** Packets per second lent at `now`. */
  rateAt(now: number): number {
    const grant = this.#grant;
    if (this.survey.state === 'paused') return 0;
    return grant !== undefined && now < grant.heartbeatAt + grant.ttlMillis ? grant.rate : 0;
  }

  /** Packets per second it will send, as far as can be told: no more than is lent, or than it could. */
  paceAt(now: number): number {
    const could = this.#rate + PACE_SHARDS * this.plan.shardLength;
    return Math.min(this.rateAt(now), could);
  }

  /** Applies the ceiling again: its share has changed. */
  setCeiling(ceiling: number): void {
    if (ceiling === this.#ceiling) return;
    this.#ceiling = ceiling;
    this.#apply();
  }

  /** Takes a grant; an older one than the one in force changes nothing. */
  take(grant: Grant, now: number): void {
    const inForce = this.#grant;
    const isOld = inForce !== undefined && grant.serial <= inForce.serial;
    if (isOld && now < inForce.heartbeatAt + inForce.ttlMillis) return;
    this.#grant = grant;
    for (const shard of grant.releaseShards) this.held.get(shard)?.stop();
    // Silence is not to be believed of one who hears nothing: only what had settled is kept.
    if (grant.quarantineReason !== '') for (const shard of this.held.values()) shard.releaseFrom(0);
    this.#apply();
  }

  #apply(): void {
    if (this.#grant === undefined) return;
    const { rate, heartbeatAt, ttlMillis, exclusionsVersion } = this.#grant;
    const most = this.survey.state === 'paused' ? 0 : this.#ceiling;
    this.networkIo.sender.grant(Math.min(rate, most), heartbeatAt + ttlMillis, exclusionsVersion);
  }

  /** Takes note of a change of its survey; a pause or an end bites at once. */
  onSurveyChange(survey: Survey): void {
    this.survey = survey;
    if (survey.state === 'paused') this.networkIo.sender.grant(0, 0, 0);
    if (isEnding(survey.state)) for (const shard of this.held.values()) shard.stop();
  }

  /** Holds targets against the exclusions there are, from now on. */
  setExclusions(exclusions: Exclusions): void {
    this.networkIo.sender.setExclusions(exclusions.blocklist(), exclusions.version);
  }

  activity(now: number): Activity {
    const { probesSent } = this.networkIo.sender.totals;
    const elapsed = now - this.#rateAt;
    if (elapsed >= RATE_WINDOW_MILLIS) {
      this.#rate = ((probesSent - this.#sentBefore) * 1000) / elapsed;
      this.#sentBefore = probesSent;
      this.#rateAt = now;
    }
    const rate = this.#rate;
    const grantSerial = this.#grant?.serial ?? 0;
    const replies = this.replies.reduce((sum, count) => sum + count, 0);
    const { hasWork, ioStats } = this;
    const { exclusionsVersion } = this.networkIo.sender;
    const heard = { replies, ioStats, exclusionsVersion };
    return { survey: this.survey.id, hasWork, rate, probesSent, grantSerial, ...heard };
  }

  async close(): Promise<void> {
    await closeNetworkIo(this.networkIo);
  }

  #listen(capture: Capture): void {
    const receiver = new Receiver(this.plan, this.survey, capture.dissection);
    capture.start((timestamp) => this.#receive(receiver, timestamp));
  }

  /** @returns whether the frame answers a probe of this survey, whoever sent it */
  #receive(receiver: Receiver, timestamp: number): boolean {
    const reply = receiver.receive(timestamp);
    if (reply === undefined) return false;
    const shard = this.held.get(reply.shard);
    if (shard === undefined) {
      this.elsewhere++;
      return true;
    }
    const noted = shard.note(reply, timestamp);
    if (noted === RECORDED.NEW) this.replies[reply.code] = (this.replies[reply.code] as number) + 1;
    else if (noted === RECORDED.REPEATED) this.repeated++;
    else this.late++;
    return true;
  }
}

async function closeNetworkIo({ captures, sender }: NetworkIo): Promise<void> {
  for (const capture of captures) capture.close();
  await sender.close();
}

/**
 * Makes ready for a survey: fetches its space, builds the plan, and compares it with the
 * coordinator's. @throws Fault PLAN_MISMATCH, or whatever keeps the station from opening
 */
export async function joinSurvey(
  bus: Bus,
  survey: Survey,
  openNetworkIo: OpenNetworkIo,
  clock: Clock,
): Promise<JoinedSurvey> {
  const bytes = await bus.spaces.get(survey.spaceHash);
  if (bytes === undefined) throw new Fault('BAD_MESSAGE', 'the survey’s space is not on the shelf');
  refuseOtherBytes(bytes, survey.spaceHash, 'the survey’s space');
  const plan = new Plan(spaceFromBytes(bytes), survey.seed, survey.shardLength);
  if (plan.hash !== survey.planHash) {
    const reason = 'this agent plans the survey differently: run the coordinator’s version';
    throw new Fault('PLAN_MISMATCH', reason, { value: survey.id });
  }
  const networkIo = await openNetworkIo(survey, plan);
  try {
    if (networkIo.rules !== undefined) await bus.spaces.put(networkIo.rulesHash, networkIo.rules);
  } catch (error) {
    await closeNetworkIo(networkIo);
    throw error;
  }
  return new JoinedSurvey(survey, plan, networkIo, clock.monotonic());
}
