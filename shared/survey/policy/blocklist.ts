/** Blocklists: the set of the addresses that block rules cover. */

import type { Target } from '../../net/endpoint.js';
import { compareWords } from '../../net/ipv6.js';
import { Ranges } from '../../net/ranges.js';
import { Ranges6 } from '../../net/ranges6.js';
import { joinRecords } from '../../net/record-column.js';
import type { RuleList } from '../lists/rule-list.js';
import type { Window } from '../space/window.js';
import type { SpecialBlock } from './special-purpose-registry.js';

export class Blocklist {
  readonly ipv4: Ranges;
  readonly ipv6: Ranges6;

  private constructor(ipv4: Ranges, ipv6: Ranges6) {
    this.ipv4 = ipv4;
    this.ipv6 = ipv6;
  }

  static of(lists: readonly RuleList[]): Blocklist {
    return new Blocklist(
      Ranges.ofRecords(joinRecords(lists.map(({ ranges }) => ranges.words))),
      Ranges6.ofRecords(joinRecords(lists.map(({ prefixes }) => prefixes.words))),
    );
  }

  static ofRanges(ipv4: Ranges, ipv6: Ranges6): Blocklist {
    return new Blocklist(ipv4, ipv6);
  }

  /** A block of a special-purpose registry, minus the ranges that a survey allows explicitly. */
  static ofSpecial(block: SpecialBlock, allowed: Blocklist): Blocklist {
    return block.family === 4
      ? new Blocklist(Ranges.of([block.range]).subtract(allowed.ipv4), Ranges6.none)
      : new Blocklist(Ranges.none, Ranges6.of([block.prefix]).subtract(allowed.ipv6));
  }

  /** The slots of a window that this list blocks. */
  slotsIn(window: Window): Ranges {
    const { ipv6 } = this;
    const { first, last } = window;
    const slots = [];
    for (let i = ipv6.firstEndingFrom(first); i < ipv6.count; i++) {
      if (compareWords(ipv6.firstOf(i), last) > 0) break;
      const range = window.slotsBetween(ipv6.firstOf(i), ipv6.lastOf(i));
      if (range.from < range.to) slots.push(range);
    }
    return slots.length === 0 ? Ranges.none : Ranges.of(slots);
  }

  holds({ isIpv4, w0, w1, w2, w3 }: Target): boolean {
    return isIpv4 ? this.ipv4.contains(w3) : this.ipv6.contains(w0, w1, w2, w3);
  }
}
