/** Special-purpose and public addresses in lists and spaces, for the admission policy. */

import { Fault, type FaultDetails } from '../../base/faults.js';
import { Target } from '../../net/endpoint.js';
import { formatAddress, parsePrefix6 } from '../../net/ipv6.js';
import { formatRange } from '../../net/prefix.js';
import type { Ranges } from '../../net/ranges.js';
import { Ranges6 } from '../../net/ranges6.js';
import { parseBlock, type RuleList } from '../lists/rule-list.js';
import type { LocatedWindow, TargetList } from '../lists/target-list.js';
import type { Space } from '../space/space.js';
import type { Window } from '../space/window.js';
import { Blocklist } from './blocklist.js';
import { SPECIAL, SPECIAL_6, SPECIAL_BLOCKS } from './special-purpose-registry.js';

/** Special-purpose IPv4 addresses other than those allowed: an agent's send filter blocks them. */
export function blockedSpecialIpv4(allowSpecial: readonly string[]): Ranges {
  return specialExcept(allowedBy(allowSpecial)).ipv4;
}

/** The same for IPv6. */
export function blockedSpecialIpv6(allowSpecial: readonly string[]): Ranges6 {
  return specialExcept(allowedBy(allowSpecial)).ipv6;
}

/** A special-purpose target of the space that is not allowed, as text; undefined if there is none. */
export function specialTargetIn(space: Space, allowSpecial: readonly string[]): string | undefined {
  return targetIn(space, specialExcept(allowedBy(allowSpecial)));
}

/** A target of the space that is blocked, as text; undefined if there is none. */
export function targetIn(space: Space, blocked: Blocklist): string | undefined {
  const { ipv4, windows, hitlist, pairs } = space.parts;
  const [range] = ipv4.intersect(blocked.ipv4);
  if (range !== undefined) return formatRange(range);
  for (const window of windows) {
    const [location] = window.ranks.ranges.intersect(blocked.slotsIn(window));
    if (location !== undefined) return addressIn(window, location.from);
  }
  const listed = hitlist.firstIn(blocked) ?? pairs.firstIn(blocked);
  return listed === undefined ? undefined : formatAddress(listed);
}

/** A public target of the space, as text; undefined if all are special-purpose. */
export function publicTargetIn(space: Space): string | undefined {
  const special = specialExcept(NOTHING);
  const { ipv4, windows, hitlist, pairs } = space.parts;
  const range = ipv4.firstOutside(special.ipv4);
  if (range !== undefined) return formatRange(range);
  for (const window of windows) {
    const location = window.ranks.ranges.firstOutside(special.slotsIn(window));
    if (location !== undefined) return addressIn(window, location.from);
  }
  const listed = hitlist.firstOutside(special) ?? pairs.firstOutside(special);
  return listed === undefined ? undefined : formatAddress(listed);
}

/** True if a window has public addresses. */
export function isPublicWindow(window: Window): boolean {
  const special = specialExcept(NOTHING).slotsIn(window);
  return window.ranks.ranges.firstOutside(special) !== undefined;
}

/**
 * Refuses a target that is entirely special-purpose: the user meant it, so it is not removed silently.
 * @throws Fault SPECIAL_TARGETS
 */
export function refuseSpecial(lists: readonly TargetList[], allowed: Blocklist): void {
  const blocked = specialExcept(allowed);
  for (const list of lists) {
    refuseRanges(list, blocked);
    refuseAddresses(list, blocked);
    for (const window of list.windows) refuseWindow(window, blocked);
  }
}

function refuseRanges(list: TargetList, { ipv4 }: Blocklist): void {
  const { words } = list.ranges;
  for (let at = 0; at < words.length; at += 2) {
    const from = words[at] as number;
    const to = (words[at + 1] as number) + 1;
    const i = ipv4.firstEndingAfter(from);
    if (i === ipv4.count || from < (ipv4.from[i] as number) || to > (ipv4.to[i] as number)) {
      continue;
    }
    const block = blockWith(Target.ipv4(to - 1, 0));
    throw notAllowed(block, formatRange({ from, to }), list.locationOfRange(at / 2));
  }
}

function refuseAddresses(list: TargetList, { ipv6 }: Blocklist): void {
  const { words } = list.addresses;
  const target = new Target();
  for (let at = 0; at < words.length; at += 4) {
    const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words.subarray(at, at + 4);
    if (!ipv6.contains(w0, w1, w2, w3)) continue;
    target.setWords([w0, w1, w2, w3]);
    const block = blockWith(target);
    throw notAllowed(block, block?.text ?? '', list.locationOfAddress(at / 4));
  }
}

function refuseWindow({ window, location }: LocatedWindow, blocked: Blocklist): void {
  if (window.ranks.ranges.firstOutside(blocked.slotsIn(window)) !== undefined) return;
  const last = new Target();
  window.addressAt(window.slots - 1, last);
  const block = blockWith(last);
  throw notAllowed(block, block?.text ?? '', location);
}

/** The block that holds an address. */
function blockWith(target: Target) {
  return SPECIAL_BLOCKS.find((block) => Blocklist.ofSpecial(block, NOTHING).holds(target));
}

/** @param allow the range to allow */
function notAllowed(
  block: { readonly name: string; readonly rfc: string } | undefined,
  allow: string,
  location: FaultDetails,
): Fault {
  const reason = `${block?.name} (${block?.rfc}) is not surveyed unless allowed: --allow-special ${allow}`;
  return new Fault('SPECIAL_TARGETS', reason, location);
}

const NOTHING = Blocklist.of([]);
const MAPPED = Ranges6.of([parsePrefix6('::ffff:0:0/96')]);

function specialExcept(allowed: Blocklist): Blocklist {
  return Blocklist.ofRanges(SPECIAL.subtract(allowed.ipv4), SPECIAL_6.subtract(allowed.ipv6));
}

function addressIn(window: Window, location: number): string {
  const target = new Target();
  window.addressAt(location, target);
  return formatAddress(target);
}

function allowedBy(texts: readonly string[]): Blocklist {
  return allowedSpecial(texts.map((text) => parseBlock(text, '--allow-special')));
}

/**
 * The special-purpose ranges that a survey allows. IPv4-mapped IPv6 addresses are never among them: they are IPv4, so
 * IPv6 exclusions, probes and routes do not apply to them.
 */
export function allowedSpecial(lists: readonly RuleList[]): Blocklist {
  const { ipv4, ipv6 } = Blocklist.of(lists);
  return Blocklist.ofRanges(ipv4, ipv6.subtract(MAPPED));
}
