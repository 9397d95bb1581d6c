/** Blocklist: blocked IPv4 and IPv6 ranges, minus an allowlist. */

import type { Target } from '../../net/endpoint.js';
import { hasPrefix, type Prefix6 } from '../../net/ipv6.js';
import { Ranges } from '../../net/ranges.js';
import type { Window } from '../space/window.js';
import type { BlockEntry } from './block.js';
import type { SpecialBlock } from './special-purpose-registry.js';

export class Blocklist {
  readonly ipv4: Ranges;
  /** As listed; ranges of the allowlist are not removed. */
  readonly ipv6: readonly Prefix6[];
  readonly #except: Blocklist | undefined;

  private constructor(ipv4: Ranges, ipv6: readonly Prefix6[], except?: Blocklist) {
    this.ipv4 = except === undefined ? ipv4 : ipv4.subtract(except.ipv4);
    this.ipv6 = ipv6;
    this.#except = except;
  }

  static of(entries: readonly BlockEntry[]): Blocklist {
    const blocks = entries.map(({ block }) => block);
    const ranges = blocks.flatMap((block) => (block.family === 4 ? [block.range] : []));
    const prefixes = blocks.flatMap((block) => (block.family === 6 ? [block.prefix] : []));
    return new Blocklist(Ranges.of(ranges), prefixes);
  }

  /** A block of a special-purpose registry, minus the ranges that a survey allows by name. */
  static ofSpecial(block: SpecialBlock, allowed: Blocklist): Blocklist {
    return block.family === 4
      ? new Blocklist(Ranges.of([block.range]), [], allowed)
      : new Blocklist(Ranges.none, [block.prefix], allowed);
  }

  /** The slots of a window that this list blocks. */
  slotsIn(window: Window): Ranges {
    const ranges = this.ipv6.map((prefix) => window.slotsWithin(prefix));
    const slots = Ranges.of(ranges.filter(({ from, to }) => from < to));
    if (slots.count === 0 || this.#except === undefined) return slots;
    return slots.subtract(this.#except.slotsIn(window));
  }

  holds(target: Target): boolean {
    if (target.isIpv4) return this.ipv4.contains(target.w3);
    const { w0, w1, w2, w3 } = target;
    const isListed = this.ipv6.some((prefix) => hasPrefix([w0, w1, w2, w3], prefix));
    return isListed && !(this.#except?.holds(target) ?? false);
  }
}
