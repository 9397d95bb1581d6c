/**
 * Finds the routes of all targets: follows the kernel's policy rules and routing tables for the whole address
 * space, so the answer holds for every target and not for a sample; then compares one target of each slice
 * with the kernel's own answer.
 */
import { Fault } from '../../../shared/base/faults.js';
import { cidrsOf } from '../../../shared/net/cidr.js';
import type { Words } from '../../../shared/net/endpoint.js';
import { formatWords } from '../../../shared/net/ipv6.js';
import type { Family } from '../../../shared/probe/probe.js';
import type { Space } from '../../../shared/survey/space/space.js';
import {
  cutTargets,
  type RouteSlice,
  type Segments,
  type Unroutable,
  unroutablesOf,
  wordsOf,
} from './cut-targets.js';
import { flatten, inOrder, overlay, type Segment, type Span } from './partition.js';
import { type RuleRecord, readRules, stepsFor } from './policy-rules.js';
import { addressToBigInt, type Hop, ipJson, type RouteEntry, readRoutes } from './route-table.js';
import { targetSpans } from './target-spans.js';

const BITS = { 4: 32, 6: 128 } as const;

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

function textOf({ from, to }: Span<bigint>, family: Family): string {
  const [first] = [...cidrsOf(from, to, BITS[family])];
  const length = first?.length ?? BITS[family];
  return `${formatWords(wordsOf(from, family))}/${length}`;
}
