/**
 * Composes a space from lists: targets, minus special-purpose ranges that are not allowed, minus exclusions.
 * The order of entries does not matter: an address that is both targeted and excluded is excluded. Removed
 * addresses are counted by reason. Lists are sorted once, and then merged with each other as sorted arrays.
 */
import { Fault, type FaultDetails } from '../../base/faults.js';
import type { Target } from '../../net/endpoint.js';
import { compareWords, hasPrefix } from '../../net/ipv6.js';
import type { ProbePort } from '../../net/ports.js';
import { Ranges } from '../../net/ranges.js';
import { Ranges6 } from '../../net/ranges6.js';
import { joinRecords, type RecordColumn } from '../../net/record-column.js';
import type { Hitlist } from '../lists/hitlist.js';
import { PAIR_WORDS } from '../lists/pair-list.js';
import type { RuleList } from '../lists/rule-list.js';
import type { LocatedWindow, TargetList } from '../lists/target-list.js';
import { Blocklist } from '../policy/blocklist.js';
import { allowedSpecial, refuseSpecial } from '../policy/special-purpose-policy.js';
import { SPECIAL_BLOCKS } from '../policy/special-purpose-registry.js';
import { AddressList } from './address-list.js';
import type { AliasTests } from './alias-tests.js';
import { Space } from './space.js';
import type { Window } from './window.js';

export interface Lists {
  readonly targets: readonly TargetList[];
  readonly hitlists: readonly Hitlist[];
  /** Records of `PAIR_WORDS` words. */
  readonly pairs: readonly RecordColumn[];
  readonly exclusions: readonly RuleList[];
  readonly allowSpecial: readonly RuleList[];
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

/** Alias tests, as targets. */
export interface AliasTargets {
  readonly hitlist: AddressList;
  readonly pairs: AddressList;
}

export interface Composition {
  readonly space: Space;
  readonly sources: readonly Tally[];
  readonly exclusions: readonly Tally[];
  /** The alias tests among the targets. */
  readonly tests: AliasTargets;
}

const NO_TESTS: AliasTargets = { hitlist: AddressList.none, pairs: AddressList.none };

/**
 * Composes a space. The addresses of hitlists and pairs are used for sorting, so their lists cannot be composed again.
 * @throws Fault SPECIAL_TARGETS, EMPTY_SPACE or SPACE_TOO_LARGE; BAD_OPTION or BAD_LIST for overlapping windows
 */
export function compose(lists: Lists): Composition {
  const allowed = allowedSpecial(lists.allowSpecial);
  refuseSpecial(lists.targets, allowed);
  const builder = new SpaceBuilder(lists);
  for (const block of SPECIAL_BLOCKS) {
    const reason = `${block.text} ${block.name} (${block.rfc})`;
    builder.exclude(reason, Blocklist.ofSpecial(block, allowed));
  }
  for (const [reason, rules] of bySource(lists.exclusions)) {
    builder.exclude(reason, Blocklist.of(rules));
  }
  const { tallies: exclusions } = builder;
  const tests = lists.aliasTests === undefined ? NO_TESTS : builder.addTests(lists.aliasTests);
  const space = builder.finish(lists.ports);
  const sources = sourcesOf(lists);
  const count = tests.hitlist.size + tests.pairs.size;
  if (count > 0) sources.push({ reason: 'alias tests', addresses: count });
  return { space, sources, exclusions, tests };
}

/** A space under construction: what is left of each part, and tallies of what was removed. */
class SpaceBuilder {
  readonly tallies: Tally[] = [];
  readonly #blocked: Blocklist[] = [];
  #ipv4: Ranges;
  /** IPv4 addresses to remove from `#ipv4`: all at once at the end, because each pass over a long list takes time. */
  #removed = Ranges.none;
  #windows: readonly Window[];
  #hitlist: AddressList;
  #pairs: AddressList;

  constructor({ targets, hitlists, pairs }: Lists) {
    const ranges = Ranges.ofRecords(joinRecords(targets.map((list) => list.ranges.words)));
    const singles = Ranges.ofAddresses(takeRecords(hitlists.map((list) => list.ipv4.words)));
    this.#ipv4 = ranges.union(singles);
    this.#windows = disjoint(targets.flatMap(({ windows }) => windows));
    const addresses = [
      ...targets.map((list) => list.addresses.words),
      ...hitlists.map((list) => list.ipv6.words),
    ];
    this.#hitlist = outside(this.#windows, AddressList.ofRecords(takeRecords(addresses), 4));
    this.#pairs = AddressList.ofRecords(takeRecords(pairs.map(({ words }) => words)), PAIR_WORDS);
  }

  exclude(reason: string, list: Blocklist): void {
    this.#blocked.push(list);
    const before = this.#count();
    const { size } = this.#ipv4.intersect(list.ipv4).subtract(this.#removed);
    this.#removed = this.#removed.union(list.ipv4);
    if (list.ipv6.count > 0) {
      this.#windows = this.#windows.map((window) => {
        const taken = list.slotsIn(window);
        return taken.count === 0 ? window : window.keeping(window.ranks.ranges.subtract(taken));
      });
    }
    this.#hitlist = this.#hitlist.without(list);
    this.#pairs = this.#pairs.without(list);
    const addresses = size + before - this.#count();
    if (addresses > 0) this.tallies.push({ reason, addresses });
  }

  /** Adds the alias tests of what is left, unless they are excluded. @returns the tests */
  addTests(tests: AliasTests): AliasTargets {
    const allowed = (list: AddressList) =>
      this.#blocked.reduce((left, blocked) => left.without(blocked), list);
    const all = tests.around(this.#hitlist, this.#windows);
    const allOfPairs = tests.aroundPairs(this.#pairs);
    const hitlist = allowed(all);
    const pairs = allowed(allOfPairs);
    const excluded = all.size + allOfPairs.size - hitlist.size - pairs.size;
    if (excluded > 0) this.tallies.push({ reason: EXCLUDED_TESTS, addresses: excluded });
    this.#hitlist = this.#hitlist.union(outside(this.#windows, hitlist));
    this.#pairs = this.#pairs.union(pairs);
    return { hitlist, pairs };
  }

  finish(ports: readonly ProbePort[]): Space {
    const windows = this.#windows.filter(({ size }) => size > 0);
    const hitlist = this.#hitlist;
    this.#ipv4 = this.#ipv4.subtract(this.#removed);
    const parts = { ipv4: this.#ipv4, windows, hitlist, ports, pairs: AddressList.none };
    if (this.#pairs.size === 0) return new Space(parts);
    const hasAddresses = this.#ipv4.count > 0 || windows.length > 0 || hitlist.size > 0;
    const product = hasAddresses && ports.length > 0 ? new Space(parts) : undefined;
    const isNew = (pair: Target) => product === undefined || product.indexOf(pair) < 0;
    return new Space({ ...parts, pairs: this.#pairs.filter(isNew) });
  }

  /** Addresses and pairs, apart from IPv4 addresses. */
  #count(): number {
    const windows = this.#windows.reduce((sum, { size }) => sum + size, 0);
    return windows + this.#hitlist.size + this.#pairs.size;
  }
}

/** A prefix with fewer than sixteen tests is never found to be aliased. */
const EXCLUDED_TESTS = 'exclusions of alias tests, whose prefixes cannot be found aliased';

/**
 * The records of all columns. A single long column is not copied: it is sorted in place, and has no meaningful content
 * afterwards.
 */
function takeRecords(columns: readonly Uint32Array[]): Uint32Array {
  const filled = columns.filter(({ length }) => length > 0);
  return filled.length === 1 ? (filled[0] as Uint32Array) : joinRecords(filled);
}

/** The addresses of a list that no window has. */
function outside(windows: readonly Window[], list: AddressList): AddressList {
  if (windows.length === 0) return list;
  const prefixes = Ranges6.of(windows.map(({ prefix }) => prefix));
  return list.filter((target) => {
    const { w0, w1, w2, w3 } = target;
    if (!prefixes.contains(w0, w1, w2, w3)) return true;
    return windows.every((window) => window.ordinalOf(target) < 0);
  });
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

function sourcesOf({ targets, hitlists, pairs }: Lists): Tally[] {
  const tallies = [...bySource(targets)].map(([reason, lists]) => ({
    reason,
    addresses: lists.reduce((sum, { size }) => sum + size, 0),
  }));
  const listed = hitlists.reduce((sum, { size }) => sum + size, 0);
  const paired = pairs.reduce((sum, { size }) => sum + size, 0);
  if (listed > 0) tallies.push({ reason: 'hitlists', addresses: listed });
  if (paired > 0) tallies.push({ reason: 'pairs', addresses: paired });
  return tallies;
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
