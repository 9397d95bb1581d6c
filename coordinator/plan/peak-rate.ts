/**
 * The highest rate that any single network is expected to receive. Every run of positions is a random sample
 * of the space, so a network with a given share of the targets receives the same share of the rate.
 */
import type { Words } from '../../shared/net/endpoint.js';
import { compareWords, hasPrefix } from '../../shared/net/ipv6.js';
import { type Range, Ranges } from '../../shared/net/ranges.js';
import {
  isPublicWindow,
  publicTargetIn,
} from '../../shared/survey/policy/special-purpose-policy.js';
import type { AddressList } from '../../shared/survey/space/address-list.js';
import type { AliasTargets } from '../../shared/survey/space/compose.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Window } from '../../shared/survey/space/window.js';

export interface Peaks {
  /** Probes per second into the busiest IPv4 /24 and /16, and IPv6 /48 and /64; 0 if there is none. */
  readonly per24: number;
  readonly per16: number;
  readonly per48: number;
  readonly per64: number;
}

export function peaks(space: Space, rate: number): Peaks {
  const perTarget = rate / space.size;
  const most = densestNetworks(space);
  return {
    per24: most.per24 * perTarget,
    per16: most.per16 * perTarget,
    per48: most.per48 * perTarget,
    per64: most.per64 * perTarget,
  };
}

/** The highest numbers of targets in one network, by space: counting takes a second for twenty million targets. */
const counted = new WeakMap<Space, Peaks>();

function densestNetworks(space: Space): Peaks {
  const known = counted.get(space);
  if (known !== undefined) return known;
  const most = {
    per24: densest4(space, 24),
    per16: densest4(space, 16),
    per48: densest6(space, 48),
    per64: densest6(space, 64),
  };
  counted.set(space, most);
  return most;
}

/**
 * The limit on probes per second to unlisted addresses of one public /64, unless the survey sets another.
 * Most addresses of a window do not exist, and a router on the last hop solicits each of them (RFC 6583): it
 * keeps an incomplete entry for three seconds (RFC 4861 §10), and its table holds about a thousand entries.
 */
export const UNLISTED_PER_64_MAX = 100;

/**
 * Probes per second to unlisted addresses, which come from windows and alias tests, in the IPv6 /64 that
 * receives the most of them; 0 if no target is public.
 */
export function unlistedPer64(space: Space, tests: AliasTargets, rate: number): number {
  if (publicTargetIn(space) === undefined) return 0;
  const windows = space.parts.windows.filter(isPublicWindow);
  return (densest6({ parts: { ...space.parts, ...tests, windows } }, 64) * rate) / space.size;
}

/** The highest number of targets in any IPv4 network with a prefix of `bits` bits. */
function densest4({ parts }: Space, bits: number): number {
  const span = 2 ** (32 - bits);
  const ports = parts.ports.length;
  const paired = pairsByNetwork(parts.pairs, span);
  const { from, to } = parts.ipv4;
  const whole: Range[] = [];
  let most = 0;
  let network = -1;
  let targets = 0;
  for (let i = 0; i < from.length; i++) {
    const [start, end] = [from[i] as number, to[i] as number];
    const first = Math.floor(start / span);
    const last = Math.floor((end - 1) / span);
    if (first !== network) targets = 0;
    targets += (Math.min(end, (first + 1) * span) - start) * ports;
    most = Math.max(most, targets + (paired.get(first) ?? 0));
    if (last === first) network = first;
    else {
      if (last > first + 1) whole.push({ from: first + 1, to: last });
      network = last;
      targets = (end - last * span) * ports;
      most = Math.max(most, targets + (paired.get(last) ?? 0));
    }
  }
  if (whole.length > 0) most = Math.max(most, span * ports);
  const covered = Ranges.of(whole);
  for (const [number, count] of paired) {
    most = Math.max(most, count + (covered.contains(number) ? span * ports : 0));
  }
  return most;
}

/** The number of IPv4 pairs in each network of `span` addresses. */
function pairsByNetwork(pairs: AddressList, span: number): Map<number, number> {
  const counts = new Map<number, number>();
  const { first, end } = pairs.ipv4;
  let network = -1;
  let count = 0;
  for (let i = first; i <= end; i++) {
    const next = i < end ? Math.floor((pairs.words[4 * i + 3] as number) / span) : -1;
    if (next === network) count++;
    else {
      if (count > 0) counts.set(network, count);
      network = next;
      count = 1;
    }
  }
  return counts;
}

/** Targets of one list that are in the same network, and adjacent in the list. */
interface NetworkRun {
  /** An address of the network. */
  readonly words: Words;
  readonly targets: number;
}

/**
 * The highest number of targets in any IPv6 network with a prefix of `bits` bits (33 to 64); an upper bound
 * where a window covers several such networks.
 */
function densest6({ parts }: Pick<Space, 'parts'>, bits: number): number {
  const { hitlist, pairs, windows } = parts;
  const ports = parts.ports.length;
  if (windows.length + pairs.size === 0) return longestRun(hitlist, bits) * ports;
  const ipv4 = pairs.ipv4;
  const wide = windows.filter(({ prefix }) => prefix.length < bits);
  const narrow = windows.filter(({ prefix }) => prefix.length >= bits);
  let most = 0;
  for (const window of wide) most = Math.max(most, densestIn(window, bits) * ports);
  // Lists in the order of addresses: those of the same network follow each other when they are merged.
  const lists = [
    runsOf(hitlist, 0, hitlist.size, bits, ports),
    runsOf(pairs, 0, ipv4.first, bits, 1),
    runsOf(pairs, ipv4.end, pairs.size, bits, 1),
    narrow.map(({ prefix, size }) => ({ words: prefix.words, targets: size * ports })).values(),
  ];
  const next = lists.map((list) => list.next().value as NetworkRun | undefined);
  for (;;) {
    const words = next.reduce<Words | undefined>((least, run) => {
      if (run === undefined) return least;
      return least === undefined || compareNetworks(run.words, least, bits) < 0 ? run.words : least;
    }, undefined);
    if (words === undefined) return most;
    let targets = 0;
    for (const [i, list] of lists.entries()) {
      for (let run = next[i]; run !== undefined; run = next[i]) {
        if (compareNetworks(run.words, words, bits) !== 0) break;
        targets += run.targets;
        next[i] = list.next().value as NetworkRun | undefined;
      }
    }
    const around = wide.length === 0 ? undefined : windowAround(words, wide);
    const reached = around !== undefined && reaches(around, words, bits);
    most = Math.max(most, targets + (reached ? densestIn(around, bits) * ports : 0));
  }
}

/** Entries first … end − 1 of a list, by network. @param weight targets per entry */
function* runsOf(
  list: AddressList,
  first: number,
  end: number,
  bits: number,
  weight: number,
): Generator<NetworkRun> {
  for (let i = first; i < end; ) {
    const next = endOfNetwork(list, i, end, bits);
    const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = list.words.subarray(4 * i, 4 * i + 4);
    yield { words: [w0, w1, w2, w3], targets: (next - i) * weight };
    i = next;
  }
}

/** The highest number of addresses of a list in one network: `densest6` for a hitlist alone, without objects. */
function longestRun(list: AddressList, bits: number): number {
  let most = 0;
  for (let i = 0; i < list.size; ) {
    const next = endOfNetwork(list, i, list.size, bits);
    most = Math.max(most, next - i);
    i = next;
  }
  return most;
}

/** Index of the first entry after entry i that is in another network than it; at most `end`. */
function endOfNetwork({ words }: AddressList, i: number, end: number, bits: number): number {
  const shift = 64 - bits;
  const w0 = words[4 * i];
  const network = (words[4 * i + 1] as number) >>> shift;
  let next = i + 1;
  while (
    next < end &&
    words[4 * next] === w0 &&
    (words[4 * next + 1] as number) >>> shift === network
  )
    next++;
  return next;
}

/** Zero if two addresses are in the same network of `bits` bits (33 to 64), else the order of the networks. */
function compareNetworks(a: Words, b: Words, bits: number): number {
  return a[0] - b[0] || (a[1] >>> (64 - bits)) - (b[1] >>> (64 - bits));
}

/** An upper bound: exclusions are subtracted from the window as a whole, not from each network. */
function densestIn({ prefix, end, slots, size }: Window, bits: number): number {
  const above = Math.min(end, bits) - prefix.length;
  return Math.min(size, slots / 2 ** above);
}

/**
 * True if a window has addresses in a network that lies within the window's prefix: the bits of the network
 * after the window's `end` must be zero, as they are in all addresses of the window.
 */
function reaches({ end }: Window, [w0, w1]: Words, bits: number): boolean {
  if (end >= bits) return true;
  const network = ((BigInt(w0) << 32n) | BigInt(w1)) >> BigInt(64 - bits);
  return BigInt.asUintN(bits - end, network) === 0n;
}

/** The window whose prefix holds an address; windows are ascending and none is within another. */
function windowAround(words: Words, windows: readonly Window[]): Window | undefined {
  let low = 0;
  let high = windows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const window = windows[middle] as Window;
    if (compareWords(window.prefix.words, words) <= 0) low = middle + 1;
    else high = middle;
  }
  const window = windows[low - 1];
  return window !== undefined && hasPrefix(words, window.prefix) ? window : undefined;
}
