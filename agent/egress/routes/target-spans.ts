/**
 * The targets of one family as sorted spans of addresses, read in place from the arrays of a space: a hitlist of
 * millions is searched, not copied.
 */

import type { Words } from '../../../shared/net/endpoint.js';
import { lastOf } from '../../../shared/net/ipv6.js';
import type { Ranges } from '../../../shared/net/ranges.js';
import type { Family } from '../../../shared/probe/probe.js';
import type { AddressList } from '../../../shared/survey/space/address-list.js';
import type { Space } from '../../../shared/survey/space/space.js';
import type { Span } from './partition.js';

export interface TargetSpans {
  readonly count: number;
  spanAt(i: number): Span<bigint>;
  /** Index of the first span that ends after an address; `count` if none does. @param start an index to start at */
  firstEndingAfter(address: bigint, start: number): number;
}

const WORD = 32n;

/** The targets of a family; lists may overlap, spans of one list do not. */
export function targetSpans({ parts }: Space, family: Family): TargetSpans[] {
  const { ipv4, windows, hitlist, pairs } = parts;
  const { first, end } = pairs.ipv4;
  const lists =
    family === 4
      ? [spansOfRanges(ipv4), spansOfList(pairs, first, end, 4)]
      : [
          spansOf(windows.map(({ prefix }) => [prefix.words, lastOf(prefix)])),
          spansOfList(hitlist, 0, hitlist.size, 6),
          spansOfList(pairs, 0, first, 6),
          spansOfList(pairs, end, pairs.size, 6),
        ];
  return lists.filter(({ count }) => count > 0);
}

function spansOfRanges(ranges: Ranges): TargetSpans {
  return {
    count: ranges.count,
    spanAt: (i) => ({
      from: BigInt(ranges.from[i] as number),
      to: BigInt(ranges.to[i] as number),
    }),
    firstEndingAfter: (address, start) => ranges.firstEndingAfter(Number(address), start),
  };
}

/** Spans between sorted pairs of addresses. */
function spansOf(pairs: readonly (readonly [Words, Words])[]): TargetSpans {
  const spans = pairs.map(([first, last]) => ({
    from: toBigInt(first),
    to: toBigInt(last) + 1n,
  }));
  return {
    count: spans.length,
    spanAt: (i) => spans[i] as Span<bigint>,
    firstEndingAfter: (address, start) => {
      let low = start;
      let high = spans.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((spans[middle] as Span<bigint>).to <= address) low = middle + 1;
        else high = middle;
      }
      return low;
    },
  };
}

/** Entries first … end − 1 of a list, each a span of one address. */
function spansOfList(list: AddressList, first: number, end: number, family: Family): TargetSpans {
  const { words } = list;
  return {
    count: end - first,
    spanAt: (i) => {
      const at = 4 * (first + i);
      const from =
        family === 4 ? BigInt(words[at + 3] as number) : toBigInt(words.subarray(at, at + 4));
      return { from, to: from + 1n };
    },
    firstEndingAfter: (address, start) => {
      const bits = family === 4 ? 32n : 128n;
      if (address >> bits > 0n) return end - first;
      const [w0, w1, w2, w3] = family === 4 ? [0, 0, 0xffff, Number(address)] : toWords(address);
      return Math.min(list.firstFrom(w0, w1, w2, w3, first + start), end) - first;
    },
  };
}

function toBigInt(words: Iterable<number>): bigint {
  let value = 0n;
  for (const word of words) value = (value << WORD) | BigInt(word);
  return value;
}

export function toWords(address: bigint): Words {
  const word = (i: number) => Number(BigInt.asUintN(32, address >> (WORD * BigInt(3 - i))));
  return [word(0), word(1), word(2), word(3)];
}
