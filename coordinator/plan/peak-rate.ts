/**
 * The highest rate that any single network is expected to receive. Every run of positions is a random sample
 * of the space, so a network with a given share of the targets receives the same share of the rate.
 */
import type { Target, Words } from '../../shared/net/endpoint.js';
import { compareWords, hasPrefix } from '../../shared/net/ipv6.js';
import { type Range, Ranges } from '../../shared/net/ranges.js';
import {
  isPublicWindow,
  publicTargetIn,
} from '../../shared/survey/policy/special-purpose-policy.js';
import { AddressList } from '../../shared/survey/space/address-list.js';
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
  return {
    per24: densest4(space, 24) * perTarget,
    per16: densest4(space, 16) * perTarget,
    per48: densest6(space, 48) * perTarget,
    per64: densest6(space, 64) * perTarget,
  };
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
export function unlistedPer64(space: Space, tests: readonly Target[], rate: number): number {
  if (publicTargetIn(space) === undefined) return 0;
  const windows = space.parts.windows.filter(isPublicWindow);
  const hitlist = AddressList.of(tests.filter(({ port }) => port === 0));
  const pairs = AddressList.of(tests.filter(({ port }) => port > 0));
  const parts = { ...space.parts, windows, hitlist, pairs };
  return (densest6({ parts }, 64) * rate) / space.size;
}

/** The highest number of targets in any IPv4 network with a prefix of `bits` bits. */
function densest4({ parts }: Space, bits: number): number {
  const span = 2 ** (32 - bits);
  const ports = parts.ports.length;
  const listed = new Map<number, number>();
  const add = (network: number, targets: number) =>
    listed.set(network, (listed.get(network) ?? 0) + targets);
  for (const { isIpv4, w3 } of parts.hitlist) if (isIpv4) add(Math.floor(w3 / span), ports);
  for (const { isIpv4, w3 } of parts.pairs) if (isIpv4) add(Math.floor(w3 / span), 1);
  const whole: Range[] = [];
  let most = 0;
  let network = -1;
  let targets = 0;
  for (const { from, to } of parts.ipv4) {
    const first = Math.floor(from / span);
    const last = Math.floor((to - 1) / span);
    if (first !== network) targets = 0;
    targets += (Math.min(to, (first + 1) * span) - from) * ports;
    most = Math.max(most, targets + (listed.get(first) ?? 0));
    if (last === first) network = first;
    else {
      if (last > first + 1) whole.push({ from: first + 1, to: last });
      network = last;
      targets = (to - last * span) * ports;
      most = Math.max(most, targets + (listed.get(last) ?? 0));
    }
  }
  if (whole.length > 0) most = Math.max(most, span * ports);
  const covered = Ranges.of(whole);
  for (const [number, count] of listed) {
    most = Math.max(most, count + (covered.contains(number) ? span * ports : 0));
  }
  return most;
}

/**
 * The highest number of targets in any IPv6 network with a prefix of `bits` bits (at most 64); an upper bound
 * where a window covers several such networks.
 */
function densest6({ parts }: Pick<Space, 'parts'>, bits: number): number {
  const ports = parts.ports.length;
  const networks = new Map<string, { readonly words: Words; targets: number }>();
  const add = (words: Words, targets: number) => {
    const key = `${words[0]}.${words[1] >>> (64 - bits)}`;
    const network = networks.get(key);
    if (network === undefined) networks.set(key, { words, targets });
    else network.targets += targets;
  };
  for (const { isIpv4, words } of parts.hitlist) if (!isIpv4) add(words, ports);
  for (const { isIpv4, words } of parts.pairs) if (!isIpv4) add(words, 1);
  const wide: Window[] = [];
  for (const window of parts.windows) {
    if (window.prefix.length < bits) wide.push(window);
    else add(window.prefix.words, window.size * ports);
  }
  let most = 0;
  for (const window of wide) most = Math.max(most, densestIn(window, bits) * ports);
  for (const { words, targets } of networks.values()) {
    const around = windowAround(words, wide);
    const reached = around !== undefined && reaches(around, words, bits);
    most = Math.max(most, targets + (reached ? densestIn(around, bits) * ports : 0));
  }
  return most;
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
