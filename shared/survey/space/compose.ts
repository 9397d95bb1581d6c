/**
 * Composes a space from lists: targets, minus special-purpose ranges that are not allowed, minus exclusions.
 * The order of entries does not matter: an address that is both targeted and excluded is excluded. Removed
 * addresses are counted by reason.
 */
import { Fault, type FaultDetails } from '../../base/faults.js';
import { Target } from '../../net/endpoint.js';
import { compareWords, hasPrefix } from '../../net/ipv6.js';
import { type ProbePort, probePort } from '../../net/ports.js';
import { formatRange } from '../../net/prefix.js';
import { Ranges } from '../../net/ranges.js';
import type { BlockEntry } from '../policy/blocklist.js';
import { Blocklist } from '../policy/blocklist.js';
import { SPECIAL_BLOCKS, type SpecialBlock } from '../policy/special-purpose-registry.js';
import type { Extent, TargetEntry } from '../target-list.js';
import { AddressList } from './address-list.js';
import type { AliasTests } from './alias-tests.js';
import { Space } from './space.js';
import type { Window } from './window.js';

export interface Lists {
  readonly targets: readonly TargetEntry[];
  readonly hitlist: readonly Target[];
  readonly pairs: readonly Target[];
  readonly exclusions: readonly BlockEntry[];
  readonly allowSpecial: readonly BlockEntry[];
  /** Ascending. */
  readonly ports: readonly ProbePort[];
  /** Addresses that are probed beside the targets, to detect aliases. */
  readonly aliasTests?: AliasTests | undefined;
}

/** A number of addresses (or pairs), and their source or the reason of their removal. */
export interface Tally {
  readonly reason: string;
  readonly addresses: number;
}

export interface Composition {
  readonly space: Space;
  readonly sources: readonly Tally[];
  readonly exclusions: readonly Tally[];
  /** The alias tests among the targets; those of pairs have a port. */
  readonly tests: readonly Target[];
}

/** @throws Fault SPECIAL_TARGETS, EMPTY_SPACE or SPACE_TOO_LARGE; BAD_OPTION or BAD_LIST for overlapping windows */
export function compose(lists: Lists): Composition {
  const allowed = Blocklist.of(lists.allowSpecial);
  const special = SPECIAL_BLOCKS.map((block) => ({
    block,
    list: Blocklist.ofSpecial(block, allowed),
  }));
  for (const { extent, location } of lists.targets) refuseSpecial(extent, location, special);
  const builder = new SpaceBuilder(lists);
  for (const { block, list } of special) {
    builder.exclude(`${block.text} ${block.name} (${block.rfc})`, list);
  }
  for (const [reason, entries] of bySource(lists.exclusions)) {
    builder.exclude(reason, Blocklist.of(entries));
  }
  const { tallies: exclusions } = builder;
  const tests = lists.aliasTests === undefined ? [] : builder.addTests(lists.aliasTests);
  const space = builder.finish(lists.ports);
  const sources = sourcesOf(lists);
  if (tests.length > 0) sources.push({ reason: 'alias tests', addresses: tests.length });
  return { space, sources, exclusions, tests };
}

/** A space under construction: what is left of each part, and tallies of what was removed. */
class SpaceBuilder {
  readonly tallies: Tally[] = [];
  readonly #blocked: Blocklist[] = [];
  #ipv4: Ranges;
  #windows: readonly Window[];
  #listed: readonly Target[];
  #pairs: readonly Target[];

  constructor({ targets, hitlist, pairs }: Lists) {
    const extents = targets.map(({ extent }) => extent);
    const windows = targets.flatMap(({ extent, location }) =>
      extent.family === 6 ? [{ window: extent.window, location }] : [],
    );
    this.#ipv4 = Ranges.of(
      extents.flatMap((extent) => (extent.family === 4 ? [extent.range] : [])),
    );
    this.#windows = disjoint(windows.filter(({ window }) => window.slots > 1));
    const singles = windows
      .filter(({ window }) => window.slots === 1)
      .map(({ window }) => onlyAddress(window));
    this.#listed = [...singles, ...hitlist];
    this.#pairs = pairs;
  }

  exclude(reason: string, list: Blocklist): void {
    this.#blocked.push(list);
    const before = this.#count();
    this.#ipv4 = this.#ipv4.subtract(list.ipv4);
    this.#windows = this.#windows.map((window) => {
      const taken = list.slotsIn(window);
      return taken.count === 0 ? window : window.keeping(window.ranks.ranges.subtract(taken));
    });
    this.#listed = this.#listed.filter((target) => !list.holds(target));
    this.#pairs = this.#pairs.filter((target) => !list.holds(target));
    const addresses = before - this.#count();
    if (addresses > 0) this.tallies.push({ reason, addresses });
  }

  /** Adds the alias tests of what is left, unless they are excluded. @returns the tests */
  addTests(tests: AliasTests): readonly Target[] {
    const isAllowed = (target: Target) => this.#blocked.every((list) => !list.holds(target));
    const all = tests.around(this.#listed, this.#windows);
    const allOfPairs = [...byPort(this.#pairs)].flatMap(([, pairs]) => {
      const { port, probe } = pairs[0] as Target;
      return tests.around(pairs, []).map((test) => Object.assign(test, { port, probe }));
    });
    const around = all.filter(isAllowed);
    const ofPairs = allOfPairs.filter(isAllowed);
    const excluded = all.length + allOfPairs.length - around.length - ofPairs.length;
    if (excluded > 0) this.tallies.push({ reason: EXCLUDED_TESTS, addresses: excluded });
    this.#listed = [...this.#listed, ...around];
    this.#pairs = [...this.#pairs, ...ofPairs];
    return [...around, ...ofPairs];
  }

  finish(ports: readonly ProbePort[]): Space {
    const windows = this.#windows.filter(({ size }) => size > 0);
    const none = AddressList.of([]);
    const isNew = (target: Target) =>
      target.isIpv4
        ? !this.#ipv4.contains(target.w3)
        : windows.every((window) => window.ordinalOf(target) < 0);
    const hitlist = AddressList.of(this.#listed.filter(isNew));
    const parts = { ipv4: this.#ipv4, windows, hitlist, ports, pairs: none };
    if (this.#pairs.length === 0) return new Space(parts);
    const hasAddresses = this.#ipv4.count > 0 || windows.length > 0 || hitlist.size > 0;
    const product = hasAddresses && ports.length > 0 ? new Space(parts) : undefined;
    const rest = this.#pairs.filter((pair) => product === undefined || product.indexOf(pair) < 0);
    return new Space({ ...parts, pairs: AddressList.of(rest) });
  }

  #count(): number {
    const windows = this.#windows.reduce((sum, { size }) => sum + size, 0);
    return this.#ipv4.size + windows + this.#listed.length + this.#pairs.length;
  }
}

/** A prefix with fewer than sixteen tests is never found to be aliased. */
const EXCLUDED_TESTS = 'exclusions of alias tests, whose prefixes cannot be found aliased';

interface SpecialList {
  readonly block: SpecialBlock;
  readonly list: Blocklist;
}

/** Refuses a target that is entirely special-purpose: the user meant it, so it is not removed silently. */
function refuseSpecial(
  extent: Extent,
  location: FaultDetails,
  special: readonly SpecialList[],
): void {
  let left = extent.family === 4 ? Ranges.of([extent.range]) : extent.window.ranks.ranges;
  for (const { block, list } of special) {
    const taken = extent.family === 4 ? list.ipv4 : list.slotsIn(extent.window);
    left = left.subtract(taken);
    if (left.count > 0) continue;
    const allow = extent.family === 4 ? formatRange(extent.range) : block.text;
    const why = `${block.name} (${block.rfc}) is not surveyed unless allowed: --allow-special ${allow}`;
    throw new Fault('SPECIAL_TARGETS', why, location);
  }
}

interface LocatedWindow {
  readonly window: Window;
  readonly location: FaultDetails;
}

/**
 * Windows in order of prefix, without those that lie within a whole prefix.
 * @throws Fault BAD_OPTION or BAD_LIST if one lies within a window that is not a whole prefix
 */
function disjoint(given: readonly LocatedWindow[]): readonly Window[] {
  const byText = new Map(given.map((each) => [each.window.text, each]));
  const sorted = [...byText.values()].sort(byPrefix);
  const kept: Window[] = [];
  for (const { window, location } of sorted) {
    const around = kept.at(-1);
    if (around === undefined || !hasPrefix(window.prefix.words, around.prefix)) kept.push(window);
    else if (around.ids !== undefined) {
      const why = `lies within ${around.text}, which has only some of its addresses: keep one of the two`;
      throw new Fault(location.file === undefined ? 'BAD_OPTION' : 'BAD_LIST', why, location);
    }
  }
  return kept;
}

/** A prefix precedes its sub-prefixes, and a whole prefix precedes windows of the same prefix. */
function byPrefix({ window: a }: LocatedWindow, { window: b }: LocatedWindow): number {
  const { words, length } = a.prefix;
  const isPlainPrefix = ({ ids }: Window) => (ids === undefined ? 0 : 1);
  return (
    compareWords(words, b.prefix.words) ||
    length - b.prefix.length ||
    isPlainPrefix(a) - isPlainPrefix(b)
  );
}

function onlyAddress(window: Window): Target {
  const target = new Target();
  window.addressAt(0, target);
  return target;
}

function byPort(pairs: readonly Target[]): Map<number, Target[]> {
  const groups = new Map<number, Target[]>();
  for (const pair of pairs) {
    const key = probePort(pair.probe, pair.port);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [pair]);
    else group.push(pair);
  }
  return groups;
}

function sourcesOf({ targets, hitlist, pairs }: Lists): Tally[] {
  const tallies = [...bySource(targets)].map(([reason, entries]) => ({
    reason,
    addresses: entries.reduce((sum, { extent }) => sum + sizeOf(extent), 0),
  }));
  if (hitlist.length > 0) tallies.push({ reason: 'hitlists', addresses: hitlist.length });
  if (pairs.length > 0) tallies.push({ reason: 'pairs', addresses: pairs.length });
  return tallies;
}

function sizeOf(extent: Extent): number {
  return extent.family === 4 ? extent.range.to - extent.range.from : extent.window.size;
}

function bySource<Entry extends { readonly location: FaultDetails }>(
  entries: readonly Entry[],
): Map<string, Entry[]> {
  const sources = new Map<string, Entry[]>();
  for (const entry of entries) {
    const source = entry.location.file ?? entry.location.flag ?? 'given';
    const known = sources.get(source);
    if (known === undefined) sources.set(source, [entry]);
    else known.push(entry);
  }
  return sources;
}
