/**
 * Finds the routes of all targets: follows the kernel's policy rules and routing tables for the whole address
 * space, so the answer holds for every target and not for a sample; then compares one target of each slice
 * with the kernel's own answer.
 */
import { Fault } from '../../shared/base/faults.js';
import { cidrsOf } from '../../shared/net/cidr.js';
import type { Words } from '../../shared/net/endpoint.js';
import { formatWords } from '../../shared/net/ipv6.js';
import type { Ranges } from '../../shared/net/ranges.js';
import type { Family } from '../../shared/probe/probe.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Destinations } from '../interfaces.js';
import { flatten, inOrder, later, overlay, type Segment, type Span } from './partition.js';
import { type RuleRecord, readRules, stepsFor } from './policy-rules.js';
import { addressToBigInt, type Hop, ipJson, type RouteEntry, readRoutes } from './route-table.js';

const BITS = { 4: 32, 6: 128 } as const;
/** Maximum number of unroutable prefixes that are listed, per reason. */
const NAMED_MAX = 10_000;

/** The part of the target space that one next hop serves. */
export interface RouteSlice {
  readonly family: Family;
  readonly device: string;
  /** Undefined if the destinations are neighbours on the link. */
  readonly gateway: string | undefined;
  readonly destinations: Destinations;
  /** One of its targets. */
  readonly example: Words;
}

/** Targets that no packet can reach, with the reason. */
export interface Unroutable {
  /** A prefix. */
  readonly text: string;
  /** Shown in the answer to a lookup. */
  readonly reason: string;
}

export interface RouteSlices {
  readonly slices: readonly RouteSlice[];
  readonly unroutable: readonly Unroutable[];
  /** Shown to people before anything is sent. */
  readonly notes: readonly string[];
}

/** The kernel's routing for one family. */
export interface Routing {
  readonly family: Family;
  readonly rules: readonly RuleRecord[];
  readonly tables: ReadonlyMap<number, readonly RouteEntry[]>;
}

export interface RoutingOptions {
  readonly device: string | undefined;
  /** Our source addresses of both families, if the operator has set them. */
  readonly sources: readonly Words[];
}

type Segments = readonly Segment<bigint, Hop>[];

/**
 * @throws Fault NO_ROUTE if the tables cannot be read, or if there is a target to which no route leads. If
 * one family has no route to any of its targets, but targets of the other family can be probed, only a note
 * is added.
 */
export async function slicesOf(space: Space, options: RoutingOptions): Promise<RouteSlices> {
  const found: { slices: RouteSlice[]; unroutable: Unroutable[]; notes: string[] } = {
    slices: [],
    unroutable: [],
    notes: [],
  };
  const targets = { 4: spansOfIpv4(space.ipv4Addresses), 6: spansOfIpv6(space) } as const;
  const families = ([4, 6] as const).filter((family) => targets[family].length > 0);
  for (const family of families) {
    const [rules, tables] = await Promise.all([
      readRules(family),
      readRoutes(family, options.device),
    ]);
    const segments = segmentsOf({ family, rules, tables }, options);
    const cut = cutTargets(targets[family], segments, family);
    const isLast = found.slices.length === 0 && family === families.at(-1);
    const hasNoRoute = cut.slices.length === 0 && cut.unroutable.length === 0;
    // Adds a note instead of a fault, because a host name may have addresses of a family that this host
    // does not use.
    if (hasNoRoute && !isLast) {
      found.notes.push(`no route leads to any of the IPv${family} targets: they are not probed`);
      found.unroutable.push(
        ...unroutablesOf(cut.left, family, 'no route of this host leads there'),
      );
      continue;
    }
    const [first] = cut.left;
    if (first !== undefined) {
      const value = textOf(first, family);
      throw new Fault('NO_ROUTE', 'no route leads to these targets', { value });
    }
    found.notes.push(...(await differences(cut.slices, options.device)));
    found.slices.push(...cut.slices);
    found.unroutable.push(...cut.unroutable);
  }
  return found;
}

/** The next hop of each address of a family; addresses without a route are in no segment. */
export function segmentsOf(
  { family, rules, tables }: Routing,
  { device, sources }: RoutingOptions,
): Segments {
  const mine = sources.map(formatWords).filter((text) => text.includes(':') === (family === 6));
  const ours = { family, device, sources: mine.map((text) => addressToBigInt(text, family)) };
  let left: readonly Span<bigint>[] = [{ from: 0n, to: 1n << BigInt(BITS[family]) }];
  const taken: Segment<bigint, Hop>[] = [];
  for (const { to, table, suppressed, text } of stepsFor(rules, ours)) {
    const here = tableSegments({ family, rules, tables }, table, suppressed, text);
    const reach = to === undefined ? here : overlay([to], here).taken;
    const cut = overlay(left, inOrder(reach));
    taken.push(...cut.taken);
    left = cut.left;
  }
  return inOrder(taken);
}

function tableSegments(
  { family, tables }: Routing,
  table: number | undefined,
  suppressed: number,
  rule: string,
): Segments {
  if (table === undefined) {
    const to = 1n << BigInt(BITS[family]);
    return [{ from: 0n, to, value: { kind: 'null', type: rule } }];
  }
  const entries = (tables.get(table) ?? []).filter(({ length }) => length > suppressed);
  return flatten(entries).filter(({ value }) => value.kind !== 'throw');
}

/** Divides targets by next hop: into route slices, unroutable targets, and targets without a route (`left`). */
export function cutTargets(
  targets: readonly Span<bigint>[],
  segments: Segments,
  family: Family,
): { slices: RouteSlice[]; unroutable: Unroutable[]; left: readonly Span<bigint>[] } {
  const { taken, left } = overlay(targets, segments);
  const byHop = new Map<string, { hop: Hop; spans: Span<bigint>[] }>();
  for (const { from, to, value } of taken) {
    const key = JSON.stringify(value);
    const group = byHop.get(key) ?? { hop: value, spans: [] };
    group.spans.push({ from, to });
    byHop.set(key, group);
  }
  const slices: RouteSlice[] = [];
  const unroutable: Unroutable[] = [];
  for (const { hop, spans } of byHop.values()) {
    const [first] = spans as [Span<bigint>];
    if (hop.kind === 'null') unroutable.push(...unroutablesOf(spans, family, reasonOf(hop.type)));
    if (hop.kind !== 'hop') continue;
    const { device, gateway } = hop;
    const all = segments.filter(({ value }) => value === hop);
    // Uses the route's own spans if they are fewer, because a hitlist has one span per address.
    const destinations = destinationsOf(all.length < spans.length ? all : spans, family);
    slices.push({ family, device, gateway, destinations, example: wordsOf(first.from, family) });
  }
  return { slices, unroutable, left };
}

/** Compares one target of each slice with the kernel's answer. */
async function differences(
  slices: readonly RouteSlice[],
  device: string | undefined,
): Promise<string[]> {
  const notes: string[] = [];
  for (const slice of slices) {
    const target = formatWords(slice.example);
    const by = device === undefined ? [] : ['oif', device];
    const answer = await ipJson<{ dev?: string; gateway?: string; via?: { host?: string } }>([
      ...[`-${slice.family}`, 'route', 'get', target],
      ...(slice.device === 'lo' ? [] : by),
    ]).catch(() => []);
    const [kernel] = answer;
    if (kernel?.dev === undefined) continue; // the kernel's choice depends on more than the destination
    const gateway = kernel.gateway ?? kernel.via?.host;
    if (kernel.dev === slice.device && gateway === slice.gateway) continue;
    const name = (dev: string, via: string | undefined) =>
      via === undefined ? dev : `${via} on ${dev}`;
    notes.push(
      `by the routing rules and tables, ${target} is reached via ${name(slice.device, slice.gateway)}, ` +
        `which is used; the kernel's own lookup says ${name(kernel.dev, gateway)}`,
    );
  }
  return notes;
}

function reasonOf(type: string): string {
  if (type === 'broadcast') return 'a broadcast address of this host’s network';
  if (type === 'multicast') return 'multicast, by a route of this host';
  return type.startsWith('rule') ? `a ${type} of this host` : `a ${type} route of this host`;
}

function unroutablesOf(
  spans: readonly Span<bigint>[],
  family: Family,
  reason: string,
): Unroutable[] {
  const named: Unroutable[] = [];
  for (const span of spans) {
    for (const { from, length } of cidrsOf(span.from, span.to, BITS[family])) {
      if (named.length === NAMED_MAX) return named;
      named.push({ text: `${formatWords(wordsOf(from, family))}/${length}`, reason });
    }
  }
  return named;
}

function textOf({ from, to }: Span<bigint>, family: Family): string {
  const [first] = [...cidrsOf(from, to, BITS[family])];
  const length = first?.length ?? BITS[family];
  return `${formatWords(wordsOf(from, family))}/${length}`;
}

function destinationsOf(spans: readonly Span<bigint>[], family: Family): Destinations {
  const joined: { from: bigint; to: bigint }[] = [];
  for (const { from, to } of spans) {
    const last = joined.at(-1);
    if (last !== undefined && last.to === from) last.to = to;
    else joined.push({ from, to });
  }
  if (family === 4) {
    const from = Float64Array.from(joined, (span) => Number(span.from));
    return { family: 4, from, to: Float64Array.from(joined, (span) => Number(span.to)) };
  }
  const words = joined.flatMap(({ from, to }) => [...wordsOf(from, 6), ...wordsOf(to - 1n, 6)]);
  return { family: 6, words: Uint32Array.from(words) };
}

function spansOfIpv4(ranges: Ranges): Span<bigint>[] {
  return [...ranges].map(({ from, to }) => ({ from: BigInt(from), to: BigInt(to) }));
}

function spansOfIpv6(space: Space): Span<bigint>[] {
  const spans = space.ipv6Prefixes.map(({ words, length }) => {
    const from = words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
    return { from, to: from + (1n << BigInt(128 - length)) };
  });
  spans.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const joined: { from: bigint; to: bigint }[] = [];
  for (const { from, to } of spans) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last.to) last.to = later(to, last.to);
    else joined.push({ from, to });
  }
  return joined;
}

function wordsOf(address: bigint, family: Family): Words {
  if (family === 4) return [0, 0, 0xffff, Number(address)];
  const word = (i: number) => Number(BigInt.asUintN(32, address >> (32n * BigInt(3 - i))));
  return [word(0), word(1), word(2), word(3)];
}
