/**
 * Which way out leads to a target. Most surveys have one way for each family, and then nothing is
 * looked up. The territories are plain data, so that the sender's thread can be given them.
 */
import { hasPrefix, type Prefix6 } from '../../shared/net/ipv6.js';
import { Ranges } from '../../shared/net/ranges.js';
import type { Target } from '../../shared/net/target.js';
import type { Territory } from '../ports.js';

export class Router {
  readonly #ipv4: readonly { readonly exit: number; readonly ranges: Ranges }[];
  /** Longest prefixes first, so that the first that fits decides. */
  readonly #ipv6: readonly { readonly exit: number; readonly prefix: Prefix6 }[];
  readonly #onlyIpv4: number;
  readonly #onlyIpv6: number;

  constructor(territories: readonly Territory[]) {
    this.#ipv4 = territories.flatMap((territory, exit) =>
      territory.family === 4
        ? [{ exit, ranges: Ranges.fromSorted(territory.from, territory.to) }]
        : [],
    );
    this.#ipv6 = territories
      .flatMap((territory, exit) =>
        territory.family === 6 ? territory.prefixes.map((prefix) => ({ exit, prefix })) : [],
      )
      .sort((a, b) => b.prefix.length - a.prefix.length);
    this.#onlyIpv4 = onlyOf(this.#ipv4);
    this.#onlyIpv6 = onlyOf(this.#ipv6);
  }

  /** The number of the way out, or −1 where none leads there. */
  exitFor(target: Target): number {
    const isIpv4 = target.isIpv4;
    const only = isIpv4 ? this.#onlyIpv4 : this.#onlyIpv6;
    if (only >= 0) return only;
    return isIpv4 ? this.#search4(target.w3) : this.#search6(target);
  }

  #search4(address: number): number {
    for (const { exit, ranges } of this.#ipv4) if (ranges.contains(address)) return exit;
    return -1;
  }

  #search6(target: Target): number {
    const { words } = target;
    for (const { exit, prefix } of this.#ipv6) if (hasPrefix(words, prefix)) return exit;
    return -1;
  }
}

/** The one way out of a family, or −1 where there are several, or none. */
function onlyOf(entries: readonly { readonly exit: number }[]): number {
  const exits = new Set(entries.map(({ exit }) => exit));
  const [first] = exits;
  return first !== undefined && exits.size === 1 ? first : -1;
}
