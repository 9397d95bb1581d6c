/**
 * Decides in a sender thread which probes to slowed networks are sent at once: one a second to each network.
 * The others are deferred; the main thread sends them later, at the pace that `agent/lease/slow-pace.ts`
 * sets.
 */
import type { Endpoint } from '../../shared/net/endpoint.js';
import { networkBit, type SlowedNetworks } from './slowed-networks.js';

const INTERVAL_MILLIS = 1000;
/** Networks whose last probe is remembered. */
const REMEMBERED_MAX = 65_536;

export class SlowGate {
  readonly #slowed: SlowedNetworks;
  readonly #interval: number;
  /** When each network got its last probe. */
  readonly #lastAt = new Map<number, number>();

  /** @param senders threads that share the rate of this agent */
  constructor(slowed: SlowedNetworks, senders: number) {
    this.#slowed = slowed;
    this.#interval = INTERVAL_MILLIS * senders;
  }

  /** True if no network is slowed. */
  get isOpen(): boolean {
    return this.#slowed.isEmpty;
  }

  /** True if a target may be probed at `now` (monotonic milliseconds). */
  passes(target: Endpoint, now: number): boolean {
    if (!this.#slowed.has(target)) return true;
    const network = networkBit(target);
    if (now - (this.#lastAt.get(network) ?? Number.NEGATIVE_INFINITY) < this.#interval)
      return false;
    if (this.#lastAt.size >= REMEMBERED_MAX) this.#lastAt.clear();
    this.#lastAt.set(network, now);
    return true;
  }
}
