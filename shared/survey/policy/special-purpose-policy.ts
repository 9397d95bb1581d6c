/** Finds special-purpose and public addresses in a space, for the admission policy. */

import { Target } from '../../net/endpoint.js';
import { formatAddress } from '../../net/ipv6.js';
import { formatRange } from '../../net/prefix.js';
import { Ranges } from '../../net/ranges.js';
import { Ranges6 } from '../../net/ranges6.js';
import type { Space } from '../space/space.js';
import type { Window } from '../space/window.js';
import { type BlockEntry, Blocklist, parseBlock } from './blocklist.js';
import { SPECIAL, SPECIAL_BLOCKS } from './special-purpose-registry.js';

/** Special-purpose IPv4 addresses other than those allowed: an agent's send filter blocks them. */
export function blockedSpecialIpv4(allowSpecial: readonly string[]): Ranges {
  return SPECIAL.subtract(Blocklist.of(entriesOf(allowSpecial)).ipv4);
}

/** The same for IPv6. */
export function blockedSpecialIpv6(allowSpecial: readonly string[]): Ranges6 {
  const special = SPECIAL_BLOCKS.flatMap((block) => (block.family === 6 ? [block.prefix] : []));
  return Ranges6.of(special, Blocklist.of(entriesOf(allowSpecial)).ipv6);
}

/** A special-purpose target of the space that is not allowed, as text; undefined if there is none. */
export function specialTargetIn(space: Space, allowSpecial: readonly string[]): string | undefined {
  const lists = specialExcept(allowSpecial);
  const [range] = space.ipv4Addresses.intersect(blockedSpecialIpv4(allowSpecial));
  if (range !== undefined) return formatRange(range);
  for (const window of space.parts.windows) {
    const [location] = window.ranks.ranges.intersect(slotsOf(lists, window));
    if (location !== undefined) return addressIn(window, location.from);
  }
  const listed = ipv6Listed(space).find((target) => lists.some((list) => list.holds(target)));
  return listed === undefined ? undefined : formatAddress(listed);
}

/** A public target of the space, as text; undefined if all are special-purpose. */
export function publicTargetIn(space: Space): string | undefined {
  const lists = specialExcept([]);
  const [range] = space.ipv4Addresses.subtract(SPECIAL);
  if (range !== undefined) return formatRange(range);
  for (const window of space.parts.windows) {
    const [location] = window.ranks.ranges.subtract(slotsOf(lists, window));
    if (location !== undefined) return addressIn(window, location.from);
  }
  const listed = ipv6Listed(space).find((target) => !lists.some((list) => list.holds(target)));
  return listed === undefined ? undefined : formatAddress(listed);
}

/** True if a window has public addresses. */
export function isPublicWindow(window: Window): boolean {
  return window.ranks.ranges.subtract(slotsOf(specialExcept([]), window)).count > 0;
}

function specialExcept(allowSpecial: readonly string[]): readonly Blocklist[] {
  const allowed = Blocklist.of(entriesOf(allowSpecial));
  return SPECIAL_BLOCKS.map((block) => Blocklist.ofSpecial(block, allowed));
}

function slotsOf(lists: readonly Blocklist[], window: Window): Ranges {
  return Ranges.of(lists.flatMap((list) => [...list.slotsIn(window)]));
}

function ipv6Listed({ parts: { hitlist, pairs } }: Space): Target[] {
  return [...hitlist, ...pairs].filter((target) => !target.isIpv4);
}

function addressIn(window: Window, location: number): string {
  const target = new Target();
  window.addressAt(location, target);
  return formatAddress(target);
}

function entriesOf(texts: readonly string[]): readonly BlockEntry[] {
  return texts.map((text) => parseBlock(text, '--allow-special'));
}
