/**
 * Finds the route of a target. If a family has a single route, which is usual, no lookup is needed. The
 * destination ranges of the routes are plain data, so that they can be posted to the sender thread; they are
 * disjoint, and a target may be in none of them.
 */

import type { Target } from '../../shared/net/endpoint.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import type { Destinations } from '../interfaces.js';

export class Router {
  readonly #ipv4: readonly { readonly route: number; readonly ranges: Ranges }[];
  readonly #ipv6: readonly { readonly route: number; readonly ranges: Ranges6 }[];
  readonly #onlyIpv4: number;
  readonly #onlyIpv6: number;

  /** @param coversAll true if every target has a route */
  constructor(destinations: readonly Destinations[], coversAll = true) {
    this.#ipv4 = destinations.flatMap((destinations, route) =>
      destinations.family === 4
        ? [{ route, ranges: Ranges.fromSorted(destinations.from, destinations.to) }]
        : [],
    );
    this.#ipv6 = destinations.flatMap((destinations, route) =>
      destinations.family === 6 ? [{ route, ranges: Ranges6.fromWords(destinations.words) }] : [],
    );
    this.#onlyIpv4 = coversAll ? onlyOf(this.#ipv4) : -1;
    this.#onlyIpv6 = coversAll ? onlyOf(this.#ipv6) : -1;
  }

  /** Index of the route, or −1 if none serves the target. */
  routeFor(target: Target): number {
    const isIpv4 = target.isIpv4;
    const only = isIpv4 ? this.#onlyIpv4 : this.#onlyIpv6;
    if (only >= 0) return only;
    return isIpv4 ? this.#search4(target.w3) : this.#search6(target);
  }

  #search4(address: number): number {
    for (const { route, ranges } of this.#ipv4) if (ranges.contains(address)) return route;
    return -1;
  }

  #search6({ w0, w1, w2, w3 }: Target): number {
    for (const { route, ranges } of this.#ipv6) if (ranges.contains(w0, w1, w2, w3)) return route;
    return -1;
  }
}

/** The only route of a family, or −1 if there are none or several. */
function onlyOf(entries: readonly { readonly route: number }[]): number {
  const [first] = entries;
  return first !== undefined && entries.length === 1 ? first.route : -1;
}
