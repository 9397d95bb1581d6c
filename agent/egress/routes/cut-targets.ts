/**
 * Divides targets by their next hop: merges each sorted list of targets with the sorted routes, so that a hitlist of
 * millions that one route serves costs a few searches.
 */
import { cidrsOf } from '../../../shared/net/cidr.js';
import type { Words } from '../../../shared/net/endpoint.js';
import { formatWords } from '../../../shared/net/ipv6.js';
import type { Family } from '../../../shared/probe/probe.js';
import type { Destinations } from '../../interfaces.js';
import { later, overlay, type Segment, type Span } from './partition.js';
import type { Hop } from './route-table.js';
import { type TargetSpans, toWords } from './target-spans.js';

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

export type Segments = readonly Segment<bigint, Hop>[];

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

function reasonOf(type: string): string {
  if (type === 'broadcast') return 'a broadcast address of this host’s network';
  if (type === 'multicast') return 'multicast, by a route of this host';
  return type.startsWith('rule') ? `a ${type} of this host` : `a ${type} route of this host`;
}

export function unroutablesOf(
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

export function wordsOf(address: bigint, family: Family): Words {
  return family === 4 ? [0, 0, 0xffff, Number(address)] : toWords(address);
}
