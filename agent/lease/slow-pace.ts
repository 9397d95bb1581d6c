/**
 * The pace of deferred probes to slowed networks: each network gets a tenth of the probes per second that came due
 * there, and at least one a second. A virtual schedule: a deferred probe gets its time as soon as it comes due.
 */
import type { Endpoint } from '../../shared/net/endpoint.js';
import { networkAround } from '../../shared/survey/icmp-findings.js';

const SHARE = 0.1;
const LEAST_PER_SECOND = 1;
/** Probes that came due within a shorter time are counted as if it had taken so long. */
const SPAN_MILLIS_MIN = 100;
const NETWORKS_MAX = 65_536;

interface Schedule {
  readonly since: number;
  due: number;
  next: number;
}

export class SlowPace {
  readonly #schedules = new Map<string, Schedule>();

  /** When a probe that comes due at `now` is to be sent (monotonic milliseconds). */
  timeFor(target: Endpoint, now: number): number {
    const network = networkAround(target, 48);
    const schedule = this.#schedules.get(network) ?? { since: now, due: 0, next: now };
    if (this.#schedules.size >= NETWORKS_MAX) this.#forgetPast(now);
    this.#schedules.set(network, schedule);
    schedule.due++;
    const duePerSecond = (1000 * schedule.due) / Math.max(SPAN_MILLIS_MIN, now - schedule.since);
    const at = Math.max(now, schedule.next);
    schedule.next = at + 1000 / Math.max(LEAST_PER_SECOND, SHARE * duePerSecond);
    return at;
  }

  #forgetPast(now: number): void {
    for (const [network, { next }] of this.#schedules) {
      if (next < now) this.#schedules.delete(network);
    }
  }
}
