/** One survey that this agent has joined: its plan, its network I/O, the shards held, and the grant. */

import type { Authorization } from '../shared/authorization/authorization.js';
import { assert } from '../shared/base/assert.js';
import type { Clock } from '../shared/base/clock.js';
import type { Activity, Grant, IoStats } from '../shared/bus/heartbeat.js';
import { ProbeSet } from '../shared/probe/probe-set.js';
import type { Plan } from '../shared/survey/plan.js';
import type { Exclusions } from '../shared/survey/policy/exclusions.js';
import { isEnding, type Survey } from '../shared/survey/survey.js';
import { GrantState } from './grant-state.js';
import type { HeldShard } from './held-shard.js';
import type { NetworkIo } from './interfaces.js';
import { SendingSequence } from './lease/sending-sequence.js';
import { SlowPace } from './lease/slow-pace.js';
import { RateMeter } from './rate-meter.js';
import { IcmpErrors } from './replies/icmp-errors.js';
import { ReplyValidator } from './replies/reply-validator.js';
import { ReplyCounts, ShardMatcher } from './replies/shard-matcher.js';

/** The lease prefetch assumes that the agent may get faster by this many shards per second. */
const PACE_SHARDS = 16;

interface JoinedSurveyDeps {
  readonly networkIo: NetworkIo;
  readonly clock: Clock;
  /** Undefined if the survey needs none. */
  readonly authorization: Authorization | undefined;
}

export class JoinedSurvey {
  survey: Survey;
  readonly plan: Plan;
  readonly networkIo: NetworkIo;
  /** Names of the classes of replies, by code. */
  readonly classNames: readonly string[];
  readonly held = new Map<number, HeldShard>();
  readonly replies = new ReplyCounts();
  readonly icmpErrors: IcmpErrors;
  readonly sequence = new SendingSequence();
  readonly slowPace: SlowPace;
  readonly #clock: Clock;
  readonly #authorization: Authorization | undefined;
  readonly #grant = new GrantState();
  readonly #meter: RateMeter;
  /** Time (our monotonic clock): all replies that arrived before it have been read. */
  #capturedUntil: number;
  #checkedAt: number;
  #hasLostNetwork = false;
  /** Rate limit of this agent for this survey, packets per second. */
  #ceiling = Number.POSITIVE_INFINITY;

  constructor(survey: Survey, plan: Plan, { networkIo, clock, authorization }: JoinedSurveyDeps) {
    const now = clock.monotonic();
    this.#clock = clock;
    this.#authorization = authorization;
    assert(plan.hash === survey.planHash, `survey ${survey.id} is joined with another plan`);
    this.survey = survey;
    this.plan = plan;
    this.networkIo = networkIo;
    this.slowPace = new SlowPace(
      (position) => plan.targetAt(position),
      this.sequence,
      (instant) => this.rateAt(instant),
    );
    this.icmpErrors = new IcmpErrors(this.sequence, (address) =>
      networkIo.sender.slowDown(address),
    );
    const set = new ProbeSet(survey.probes);
    this.classNames = set.classNames;
    this.#meter = new RateMeter(now);
    this.#capturedUntil = now;
    this.#checkedAt = now;
    for (const capture of networkIo.captures) {
      const { held, replies } = this;
      const receiver = new ReplyValidator(
        plan,
        survey,
        networkIo.ports,
        capture.dissection,
        held,
        replies,
      );
      capture.start(receiver);
    }
    this.#receiveOutcomes(new ShardMatcher(plan, set, this.held, this.replies));
  }

  /** Records the outcomes of probes that the main thread sends itself. */
  #receiveOutcomes(matcher: ShardMatcher): void {
    this.networkIo.direct?.start((position, place, content, roundTrip) => {
      const recorder = matcher.recorderOf(position);
      if (recorder === undefined) return;
      const { probe } = this.plan.targetAt(position);
      const reply = { position, code: 0, isSuccess: false, content, roundTrip };
      matcher.deliver(recorder, reply, probe, place, Math.floor(this.#clock.wall() * 1000));
    });
  }

  /** Captured frames that are not replies to our probes, by reason. */
  get rejects(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const { rejects } of this.networkIo.captures) {
      for (const [reason, count] of Object.entries(rejects)) {
        sums[reason] = (sums[reason] ?? 0) + count;
      }
    }
    return sums;
  }

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

  /** True once an interface or an address is gone: this network I/O cannot be used any more. */
  get hasLostNetwork(): boolean {
    return this.#hasLostNetwork;
  }

  /** Time (our monotonic clock): all replies that arrived before it have been recorded. */
  get capturedUntil(): number {
    return this.#capturedUntil;
  }

  /**
   * Checks whether replies can still be received. If not, releases the unsettled positions. If they can,
   * advances `capturedUntil` to the time of the previous check, or to the time up to which the slowest
   * capture has read, whichever is earlier.
   */
  checkNetwork(now: number): void {
    if (!this.#hasLostNetwork && this.networkIo.isUp()) {
      const read = this.networkIo.captures.map(({ readUntil }) => readUntil);
      this.#capturedUntil = Math.max(this.#capturedUntil, Math.min(this.#checkedAt, ...read));
      this.#checkedAt = now;
    } else {
      this.#hasLostNetwork = true;
      for (const shard of this.held.values()) shard.release(this.#capturedUntil);
    }
  }

  /** Positions leased and not yet sent. */
  get unsent(): number {
    let unsent = 0;
    for (const shard of this.held.values()) unsent += shard.unsent;
    return unsent;
  }

  /** True if it has probes to send, and may send them. */
  get hasWork(): boolean {
    if (this.survey.state !== 'running') return false;
    for (const shard of this.held.values()) if (shard.unsent > 0 || shard.hasLater) return true;
    return false;
  }

  shouldAskForGrant(now: number): boolean {
    return this.#grant.shouldAsk(this.hasWork, now);
  }

  /** Packets per second granted at `now`. */
  rateAt(now: number): number {
    return this.survey.state === 'paused' ? 0 : this.#grant.rateAt(now);
  }

  /** The expected rate, packets per second: at most the granted rate, and at most what the agent could send. */
  paceAt(now: number): number {
    const possible = this.#meter.rate + PACE_SHARDS * this.plan.shardLength;
    return Math.min(this.rateAt(now), possible);
  }

  setCeiling(ceiling: number): void {
    if (ceiling === this.#ceiling) return;
    this.#ceiling = ceiling;
    this.#applyGrant();
  }

  /** @param heartbeatAt when the heartbeat was sent that the grant answers, by our monotonic clock */
  onGrant(grant: Grant, heartbeatAt: number, now: number): void {
    if (!this.#grant.accept(grant, heartbeatAt, now)) return;
    for (const shard of grant.releaseShards) this.held.get(shard)?.leaveToOthers();
    // In quarantine, silence is not evidence: all unsettled positions are released.
    if (grant.quarantineReason !== '') for (const shard of this.held.values()) shard.release(0);
    this.#applyGrant();
  }

  /** Packets per second that the authorization of the survey still allows this agent. */
  get #authorizedRate(): number {
    if (this.#authorization === undefined) return Number.POSITIVE_INFINITY;
    const { notAfter, maxProbes, maxRatePerAgent } = this.#authorization;
    const isOver = this.#clock.wall() > Date.parse(notAfter);
    const isSpent = this.networkIo.sender.totals.probesSent >= maxProbes;
    return isOver || isSpent ? 0 : maxRatePerAgent;
  }

  #applyGrant(): void {
    const grant = this.#grant.latest;
    if (grant === undefined) return;
    const { rate, exclusionsVersion } = grant;
    const isPaused = this.survey.state === 'paused';
    const most = isPaused ? 0 : Math.min(this.#ceiling, this.#authorizedRate);
    this.networkIo.sender.grant(Math.min(rate, most), this.#grant.expiresAt, exclusionsVersion);
  }

  /**
   * Called when the survey's record has changed. Applies the new record; if the survey is paused or ending,
   * sending stops at once.
   */
  onSurveyChange(survey: Survey): void {
    assert(
      survey.id === this.survey.id,
      `the record of survey ${survey.id} was given to survey ${this.survey.id}`,
    );
    this.survey = survey;
    if (survey.state === 'paused') this.networkIo.sender.grant(0, 0, 0);
    if (isEnding(survey.state)) for (const shard of this.held.values()) shard.stop();
  }

  /** Checks targets against these exclusions from now on. */
  setExclusions(exclusions: Exclusions): void {
    this.networkIo.sender.setExclusions(exclusions.addresses(), exclusions.version);
    const blocklist = exclusions.blocklist();
    const isExcluded = (position: number) => blocklist.holds(this.plan.targetAt(position));
    for (const shard of this.held.values()) shard.expedite(isExcluded);
    this.icmpErrors.forgetAll();
  }

  /** @param wanted shards to ask for */
  activity(now: number, wanted: number): Activity {
    const { probesSent } = this.networkIo.sender.totals;
    this.#meter.update(probesSent, now);
    const { hasWork, ioStats } = this;
    const replies = this.replies.new;
    const { exclusionsVersion } = this.networkIo.sender;
    const ceiling = Number.isFinite(this.#ceiling) ? this.#ceiling : 0;
    const grant = { grantSerial: this.#grant.serial, ceiling };
    const { otherPort, otherAddress } = this.replies;
    const elsewhere = { otherPort, otherAddress };
    const counts = { probesSent, replies, ioStats, exclusionsVersion, ...elsewhere };
    const shards = [...this.held.values()].map((shard) => shard.report());
    const { rulesHash } = this.networkIo;
    const work = { hasWork, rate: this.#meter.rate, rulesHash, wanted, shards };
    return { survey: this.survey.id, ...work, ...grant, ...counts };
  }

  async close(): Promise<void> {
    await closeNetworkIo(this.networkIo);
  }
}

/** Ends the sending and capturing of a survey. */
export async function closeNetworkIo({ captures, sender }: NetworkIo): Promise<void> {
  for (const capture of captures) capture.close();
  await sender.close();
}
