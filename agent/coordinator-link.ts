/**
 * Keeps an agent in step with the coordinator: one heartbeat at a time, at least once a second, and at once when the
 * agent has something to report or needs something.
 */
import type { Clock } from '../shared/base/clock.js';
import { describeError, Fault } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import type { AgentVerbs } from '../shared/bus/agent-api.js';
import type { Heartbeat, HeartbeatReply } from '../shared/bus/heartbeat.js';
import type { AgentBus } from '../shared/bus/interfaces.js';
import type { Log } from '../shared/telemetry/log.js';

export interface CoordinatorLinkDeps {
  readonly bus: AgentBus;
  readonly clock: Clock;
  readonly log: Log;
  /** The next heartbeat. */
  readonly compose: () => Heartbeat;
  /** The reply in an answer, if it counts. @throws Fault otherwise */
  readonly open: (
    answer: AgentVerbs['heartbeat']['answer'],
    heartbeat: Heartbeat,
  ) => HeartbeatReply;
  /** Called with each reply, and the heartbeat that it answers. */
  readonly apply: (heartbeat: Heartbeat, reply: HeartbeatReply) => void;
}

/** Heartbeats are at least this far apart, until the coordinator says how far. */
const GAP_MILLIS = 15;
/** Delay before a heartbeat that was not answered is replaced by another one. */
const RETRY_MILLIS = 200;

export class CoordinatorLink {
  readonly #deps: CoordinatorLinkDeps;
  /** The latest term of a coordinator that has answered: replies of earlier ones do not count. */
  #term = 0;
  /** The least time between two heartbeats. */
  #gap = GAP_MILLIS;
  #isHurried = false;
  #wake: (() => void) | undefined;
  /** The last error that was logged; empty if the last heartbeat was answered. */
  #problem = '';

  constructor(deps: CoordinatorLinkDeps) {
    this.#deps = deps;
  }

  /** The reason why the coordinator does not answer; empty if it does. */
  get problem(): string {
    return this.#problem;
  }

  /** Sends a heartbeat as soon as the one in progress is answered. */
  hurry(): void {
    this.#isHurried = true;
    this.#wake?.();
  }

  /** Sends heartbeats until the signal aborts. @throws Fault SUPERSEDED if another process uses our name */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      const begunAt = clock.monotonic();
      this.#isHurried = false;
      const isAnswered = await this.beat();
      const gap = isAnswered ? this.#gap : RETRY_MILLIS;
      await clock.sleep(begunAt + gap - clock.monotonic(), signal);
      if (isAnswered) await this.#wait(begunAt + LIMITS.heartbeatMillis, signal);
    }
  }

  /** Sends one heartbeat. @returns whether it was answered @throws Fault SUPERSEDED */
  async beat(): Promise<boolean> {
    const { bus, compose, open, apply, log } = this.#deps;
    const heartbeat = compose();
    try {
      const answer = await bus.coordinator.ask('heartbeat', { heartbeat });
      const reply = open(answer, heartbeat);
      if (reply.term < this.#term) throw new Fault('DEPOSED', 'a former coordinator has answered');
      this.#term = reply.term;
      this.#gap = reply.gapMillis;
      apply(heartbeat, reply);
      if (this.#problem !== '') log.info({}, 'the coordinator answers again');
      this.#problem = '';
      return true;
    } catch (error) {
      if (error instanceof Fault && error.code === 'SUPERSEDED') throw error;
      const problem = describeError(error);
      if (problem !== this.#problem) log.warn({ error: problem }, 'heartbeat not answered');
      this.#problem = problem;
      return false;
    }
  }

  /** Waits until an instant of our monotonic clock, until it is hurried, or until the signal aborts. */
  async #wait(until: number, signal: AbortSignal): Promise<void> {
    if (this.#isHurried) return;
    const { clock } = this.#deps;
    const hurried = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([hurried, clock.sleep(until - clock.monotonic(), signal)]);
    this.#wake = undefined;
  }
}
