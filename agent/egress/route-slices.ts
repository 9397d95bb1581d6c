/**
 * Finds the routes of all targets: follows the kernel's policy rules and routing tables for the whole address
 * space, so the answer holds for every target and not for a sample; then compares one target of each slice
 * with the kernel's own answer.
 */
import { Fault } from '../../shared/base/faults.js';
import { cidrsOf } from '../../shared/net/cidr.js';
import type { Words } from '../../shared/net/endpoint.js';
import { formatWords } from '../../shared/net/ipv6.js';
import type { Family } from '../../shared/probe/probe.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Destinations } from '../interfaces.js';
import { flatten, inOrder, later, overlay, type Segment, type Span } from './partition.js';
import { type RuleRecord, readRules, stepsFor } from './policy-rules.js';
import { addressToBigInt, type Hop, ipJson, type RouteEntry, readRoutes } from './route-table.js';
import { type TargetSpans, targetSpans, toWords } from './target-spans.js';

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
  const targets = { 4: targetSpans(space, 4), 6: targetSpans(space, 6) } as const;
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

/** Spans of targets with a common fate, counted; the first ones are listed. */
class SpanGroup {
  /** The first spans, at most `limit`. */
  readonly spans: Span<bigint>[] = [];
  readonly #limit: number;
  count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(span: Span<bigint>): void {
    if (this.count++ < this.#limit) this.spans.push(span);
  }

  /** Adds spans i … end − 1 of a list. */
  addRun(list: TargetSpans, i: number, end: number): void {
    const listed = Math.min(end - i, Math.max(0, this.#limit - this.count));
    for (let n = i; n < i + listed; n++) this.spans.push(list.spanAt(n));
    this.count += end - i;
  }
}

/** Divides targets by next hop: into route slices, unroutable targets, and targets without a route (`left`). */
export function cutTargets(
  targets: readonly TargetSpans[],
  segments: Segments,
  family: Family,
): { slices: RouteSlice[]; unroutable: Unroutable[]; left: readonly Span<bigint>[] } {
  const routed = segmentsByHop(segments);
  const taken = new Map<HopSegments, SpanGroup>();
  const groupOf = (hop: Hop) => {
    const key = routed.get(hop) as HopSegments;
    const limit = hop.kind === 'null' ? NAMED_MAX : key.segments.length;
    const group = taken.get(key) ?? new SpanGroup(limit);
    taken.set(key, group);
    return group;
  };
  const left = new SpanGroup(NAMED_MAX);
  for (const list of targets) merge(list, segments, groupOf, left);
  const slices: RouteSlice[] = [];
  const unroutable: Unroutable[] = [];
  for (const [{ hop, segments: all }, { spans, count }] of taken) {
    const [first] = spans as [Span<bigint>];
    if (hop.kind === 'null') unroutable.push(...unroutablesOf(spans, family, reasonOf(hop.type)));
    if (hop.kind !== 'hop') continue;
    const { device, gateway } = hop;
    // Uses the route's own spans if they are not more, because a hitlist has one span per address.
    const destinations = destinationsOf(count < all.length ? spans : all, family);
    slices.push({ family, device, gateway, destinations, example: wordsOf(first.from, family) });
  }
  return { slices, unroutable, left: left.spans };
}

interface HopSegments {
  readonly hop: Hop;
  readonly segments: Segment<bigint, Hop>[];
}

/** The segments of each hop; equal hops, which may be different objects, share an entry. */
function segmentsByHop(segments: Segments): Map<Hop, HopSegments> {
  const byText = new Map<string, HopSegments>();
  const byHop = new Map<Hop, HopSegments>();
  for (const segment of segments) {
    const hop = segment.value;
    let entry = byHop.get(hop);
    if (entry === undefined) {
      const text = JSON.stringify(hop);
      entry = byText.get(text) ?? { hop, segments: [] };
      byText.set(text, entry);
      byHop.set(hop, entry);
    }
    entry.segments.push(segment);
  }
  return byHop;
}

/** Merges a list of targets with the routes, both sorted; runs of targets within one route are not looked at. */
function merge(
  list: TargetSpans,
  segments: Segments,
  groupOf: (hop: Hop) => SpanGroup,
  left: SpanGroup,
): void {
  let k = 0;
  for (let i = 0; i < list.count; ) {
    const span = list.spanAt(i);
    k = firstSegmentEndingAfter(segments, span.from, k);
    const segment = segments[k];
    if (segment === undefined || segment.from >= span.to) {
      const next = segment === undefined ? undefined : list.firstEndingAfter(segment.from, i);
      const end = next ?? list.count;
      left.addRun(list, i, end);
      i = end;
    } else if (segment.from <= span.from && span.to <= segment.to) {
      const end = list.firstEndingAfter(segment.to, i);
      groupOf(segment.value).addRun(list, i, end);
      i = end;
    } else {
      const cut = overlay([span], segmentsWithin(segments, k, span.to));
      for (const { from, to, value } of cut.taken) groupOf(value).add({ from, to });
      for (const rest of cut.left) left.add(rest);
      i++;
    }
  }
}

function firstSegmentEndingAfter(segments: Segments, address: bigint, start: number): number {
  let low = start;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((segments[middle] as Segment<bigint, Hop>).to <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The segments from index k on that start before an address. */
function segmentsWithin(segments: Segments, k: number, to: bigint): Segments {
  let end = k;
  while (end < segments.length && (segments[end] as Segment<bigint, Hop>).from < to) end++;
  return segments.slice(k, end);
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
  const sorted = [...spans].sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const joined: { from: bigint; to: bigint }[] = [];
  for (const { from, to } of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last.to) last.to = later(to, last.to);
    else joined.push({ from, to });
  }
  if (family === 4) {
    const from = Float64Array.from(joined, (span) => Number(span.from));
    return { family: 4, from, to: Float64Array.from(joined, (span) => Number(span.to)) };
  }
  const words = joined.flatMap(({ from, to }) => [...wordsOf(from, 6), ...wordsOf(to - 1n, 6)]);
  return { family: 6, words: Uint32Array.from(words) };
}

function wordsOf(address: bigint, family: Family): Words {
  return family === 4 ? [0, 0, 0xffff, Number(address)] : toWords(address);
}
