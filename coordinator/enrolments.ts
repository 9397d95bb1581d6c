/** Public keys that agents and people have sent: an operator accepts them with `transect auth accept`. */
import type { Clock } from '../shared/base/clock.js';
import type { Enrolment } from '../shared/bus/control-api.js';

/** Keys that are not accepted are forgotten after this time; a host that waits sends its key again. */
const KEPT_MILLIS = 3_600_000;
const ENROLMENTS_MAX = 1000;

export class Enrolments {
  readonly #clock: Clock;
  /** By name of the login; the latest one counts. */
  readonly #enrolments = new Map<string, Enrolment>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add({ name, key, host }: Pick<Enrolment, 'name' | 'key' | 'host'>): void {
    this.#enrolments.delete(name);
    this.#enrolments.set(name, { name, key, host, at: this.#clock.wall() });
    for (const oldest of this.#enrolments.keys()) {
      if (this.#enrolments.size <= ENROLMENTS_MAX) break;
      this.#enrolments.delete(oldest);
    }
  }

  get all(): readonly Enrolment[] {
    const now = this.#clock.wall();
    return [...this.#enrolments.values()].filter(({ at }) => now - at < KEPT_MILLIS);
  }
}
