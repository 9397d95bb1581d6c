/**
 * Partitions address space by routes: sorted, disjoint, half-open segments, each with a value. Addresses are
 * numbers (which suffice for IPv4) or BigInts. Every operation is one pass over sorted lists, so a million
 * routes take a second.
 */
export interface Span<Address extends number | bigint> {
  readonly from: Address;
  /** One past the last. */
  readonly to: Address;
}

export interface Segment<Address extends number | bigint, Value> extends Span<Address> {
  readonly value: Value;
}

/** A prefix with a value. */
export interface Entry<Address extends number | bigint, Value> extends Segment<Address, Value> {
  readonly length: number;
  /** Of two equal prefixes, the one with the lower metric is used. */
  readonly metric: number;
}

/** Maps each address to the value of its longest matching prefix. */
export function flatten<Address extends number | bigint, Value>(
  entries: readonly Entry<Address, Value>[],
): Segment<Address, Value>[] {
  const sorted = [...entries].sort((a, b) =>
    a.from < b.from ? -1 : a.from > b.from ? 1 : a.length - b.length || a.metric - b.metric,
  );
  const segments: Segment<Address, Value>[] = [];
  const open: Entry<Address, Value>[] = [];
  let at = sorted[0]?.from;
  const emit = (to: Address, value: Value) => {
    if (at === undefined || at >= to) return;
    const last = segments.at(-1);
    if (last !== undefined && last.to === at && last.value === value)
      segments[segments.length - 1] = { ...last, to };
    else segments.push({ from: at, to, value });
    at = to;
  };
  const closeUpTo = (end: Address | undefined) => {
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (end !== undefined && top.to > end) break;
      emit(top.to, top.value);
      open.pop();
    }
  };
  for (const entry of sorted) {
    closeUpTo(entry.from);
    const top = open.at(-1);
    if (top !== undefined) {
      if (top.from === entry.from && top.length === entry.length) continue; // a worse metric
      emit(entry.from, top.value);
    }
    at = entry.from;
    open.push(entry);
  }
  closeUpTo(undefined);
  return segments;
}

/** Intersects spans with segments, both sorted and disjoint. @returns the parts in segments, and the rest */
export function overlay<Address extends number | bigint, Value>(
  spans: readonly Span<Address>[],
  segments: readonly Segment<Address, Value>[],
): { readonly taken: Segment<Address, Value>[]; readonly left: Span<Address>[] } {
  const taken: Segment<Address, Value>[] = [];
  const left: Span<Address>[] = [];
  let i = 0;
  for (const span of spans) {
    let at = span.from;
    while (i < segments.length && (segments[i] as Segment<Address, Value>).to <= span.from) i++;
    for (let k = i; k < segments.length && at < span.to; k++) {
      const segment = segments[k] as Segment<Address, Value>;
      if (segment.from >= span.to) break;
      const from = later(segment.from, at);
      if (from > at) left.push({ from: at, to: from });
      const to = later(segment.to, span.to) === segment.to ? span.to : segment.to;
      taken.push({ from, to, value: segment.value });
      at = to;
    }
    if (at < span.to) left.push({ from: at, to: span.to });
  }
  return { taken, left };
}

/** The larger of two; Math cannot compare BigInts. */
export function later<Address extends number | bigint>(a: Address, b: Address): Address {
  if (a > b) return a;
  return b;
}

/** Sorts segments of several sorted lists by their starts. */
export function inOrder<Address extends number | bigint, Value>(
  segments: readonly Segment<Address, Value>[],
): Segment<Address, Value>[] {
  return [...segments].sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
}
