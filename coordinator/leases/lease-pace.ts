/**
 * The load that agents may put on a coordinator: how many leases it opens each second, and the gap between two
 * heartbeats of an agent. While nothing is delayed, more leases are opened each second; when something is, far fewer
 * (additive increase, multiplicative decrease: Chiu and Jain, Computer Networks 17, 1989). So a coordinator answers
 * people and takes results while its agents could use more shards than it can handle.
 */
import { type Clock, every } from '../../shared/base/clock.js';

/** Leases per second. */
const PACE = { first: 2000, min: 100, max: 50_000, increase: 50, decrease: 0.7 } as const;
/** Unused leases of the last quarter of a second may still be opened. */
const BURST_SECONDS = 0.25;
const STEP_MILLIS = 50;
/** A step, or a reply, that is late by more than this shows that the coordinator has too much to do. */
const LATE_MILLIS = 100;
/** Several late replies have one cause: the pace decreases at most this often. */
const DECREASE_MILLIS = 250;
/** So all agents together send at most a thousand heartbeats per second. */
const GAP_PER_AGENT_MILLIS = 1;
const GAP_MILLIS = { min: 15, max: 1000 } as const;

export class LeasePace {
  readonly #clock: Clock;
  #perSecond: number = PACE.first;
  #available = PACE.first * BURST_SECONDS;
  #isLimiting = false;
  #steppedAt: number;
  #decreasedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#steppedAt = clock.monotonic();
  }

  /** Leases per second, as of now. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /** Takes leases that may be opened now. @returns at most `wanted` */
  take(wanted: number): number {
    const taken = Math.min(wanted, Math.floor(this.#available));
    this.#available -= taken;
    this.#isLimiting ||= taken < wanted;
    return taken;
  }

  /** Measures how late the event loop is, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#steppedAt = this.#clock.monotonic();
    await every(this.#clock, STEP_MILLIS, signal, async () => this.#step());
  }

  /** Something took longer than it does when there is little to do. */
  onDelay(millis: number): void {
    const now = this.#clock.monotonic();
    if (millis <= LATE_MILLIS || now - this.#decreasedAt < DECREASE_MILLIS) return;
    this.#decreasedAt = now;
    this.#perSecond = Math.max(PACE.min, this.#perSecond * PACE.decrease);
  }

  #step(): void {
    const now = this.#clock.monotonic();
    const elapsed = now - this.#steppedAt;
    this.#steppedAt = now;
    this.onDelay(elapsed - STEP_MILLIS);
    const isLate = now - this.#decreasedAt < DECREASE_MILLIS;
    if (this.#isLimiting && !isLate)
      this.#perSecond = Math.min(PACE.max, this.#perSecond + PACE.increase);
    this.#isLimiting = false;
    const earned = (this.#perSecond * elapsed) / 1000;
    this.#available = Math.min(this.#available + earned, this.#perSecond * BURST_SECONDS);
  }
}

/** The least time between two heartbeats of an agent, in milliseconds, for a number of agents. */
export function heartbeatGap(agents: number): number {
  return Math.min(Math.max(agents * GAP_PER_AGENT_MILLIS, GAP_MILLIS.min), GAP_MILLIS.max);
}
