/**
 * The pace of deferred probes to slowed networks: each network gets a tenth of its share of the granted rate,
 * and at least one probe a second; all slowed networks together get at most half of the granted rate. The
 * pace is kept by token buckets, which hold the tokens of one interval of checks.
 */
import type { Endpoint } from '../../shared/net/endpoint.js';
import { networkAround } from '../../shared/survey/icmp-findings.js';
import type { SendingSequence } from './sending-sequence.js';

const SHARE = 0.1;
const LEAST_PER_SECOND = 1;
const SHARE_OF_ALL = 0.5;
/** If a pause is longer than this, the tokens of the excess time are dropped, so that no burst follows the pause. */
const CATCH_UP_MILLIS = 100;
/** Limits the probes in progress to those of this time, because the sender may have no grant to send them. */
const IN_PROGRESS_SECONDS = 0.2;
const NETWORKS_MAX = 65_536;
/** Minimum interval between two searches for idle networks. */
const FORGET_MILLIS = 1000;

interface Pace {
  /** Positions that the agent had reached when the first probe came due, and when the last one did. */
  readonly from: number;
  reached: number;
  /** Probes that came due. */
  due: number;
  next: number;
  inProgress: number;
}

export class SlowPace {
  readonly #targetAt: (position: number) => Endpoint;
  readonly #sequence: SendingSequence;
  readonly #rateAt: (now: number) => number;
  readonly #networks = new Map<string, Pace>();
  #nextOfAll = 0;
  #forgetAt = 0;

  /** @param rateAt the granted rate, packets per second */
  constructor(
    targetAt: (position: number) => Endpoint,
    sequence: SendingSequence,
    rateAt: (now: number) => number,
  ) {
    this.#targetAt = targetAt;
    this.#sequence = sequence;
    this.#rateAt = rateAt;
  }

  /** Counts a position whose probe has come due. @returns the name of its network */
  add(position: number, now: number): string {
    const network = networkAround(this.#targetAt(position), 48);
    const { walked: reached } = this.#sequence;
    const known = this.#networks.get(network);
    const pace = known ?? { from: reached, reached, due: 0, next: now, inProgress: 0 };
    if (this.#networks.size >= NETWORKS_MAX && now >= this.#forgetAt) this.#forgetIdle(now);
    this.#networks.set(network, pace);
    pace.due++;
    pace.reached = reached;
    return network;
  }

  /**
   * Takes a token for a probe to a network.
   * @returns true if the probe may be sent now; the probe then counts as in progress until `done` is called
   */
  take(network: string, now: number): boolean {
    const pace = this.#networks.get(network);
    if (pace === undefined) return true;
    const granted = this.#rateAt(now);
    const rate = Math.max(LEAST_PER_SECOND, SHARE * granted * shareOf(pace));
    const isFull = pace.inProgress >= Math.max(1, rate * IN_PROGRESS_SECONDS);
    if (isFull || now < pace.next || now < this.#nextOfAll) return false;
    pace.next = Math.max(pace.next, now - CATCH_UP_MILLIS) + 1000 / rate;
    const ofAll = Math.max(LEAST_PER_SECOND, SHARE_OF_ALL * granted);
    this.#nextOfAll = Math.max(this.#nextOfAll, now - CATCH_UP_MILLIS) + 1000 / ofAll;
    pace.inProgress++;
    return true;
  }

  done(network: string): void {
    const pace = this.#networks.get(network);
    if (pace !== undefined) pace.inProgress--;
  }

  #forgetIdle(now: number): void {
    this.#forgetAt = now + FORGET_MILLIS;
    for (const [network, { next, inProgress }] of this.#networks) {
      if (next < now && inProgress === 0) this.#networks.delete(network);
    }
  }
}

/**
 * The share of a network, 0 to 1, among the positions that the agent reached between the network's first and
 * last due probe.
 */
function shareOf({ from, reached, due }: Pace): number {
  return Math.min(1, due / Math.max(1, reached - from));
}
