/**
 * Where the kernel would send the targets. The tables are read through `ip -json` (iproute2); the
 * space is then cut along them by longest prefix, so the answer holds for every target and not only
 * for a sample. Policy routing beyond the local and main tables is not followed.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describeError, Fault } from '../../shared/base/faults.js';
import {
  formatIpv6,
  formatWords,
  hasPrefix,
  mappedWords,
  type Prefix6,
  parsePrefix6,
  parseWords,
  type Words,
} from '../../shared/net/ipv6.js';
import { formatRange, parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';
import type { Family } from '../../shared/probe/probe.js';
import type { Territory } from '../ports.js';

const run = promisify(execFile);

/** How the kernel would send to some destinations. */
interface Hop {
  readonly device: string;
  /** Absent where the destinations are neighbours of their own. */
  readonly gateway: string | undefined;
}

export interface Route extends Hop {
  /** Destinations, as `ip` prints them: a prefix or an address. */
  readonly to: string;
  readonly length: number;
  readonly metric: number;
}

/** A hop, and the part of the space that goes there. */
export interface Leg extends Hop {
  readonly territory: Territory;
  /** One of the targets. */
  readonly example: Words;
}

/** What `ip -json` prints of a route. */
interface RouteRecord {
  readonly type?: string;
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly prefsrc?: string;
  readonly table?: string;
  readonly metric?: number;
  readonly nexthops?: readonly { readonly gateway?: string; readonly dev?: string }[];
}

/** Most specific first. @throws Fault NO_ROUTE where the tables cannot be read */
export async function readRoutes(family: Family): Promise<readonly Route[]> {
  const records = await ipJson<RouteRecord>([`-${family}`, 'route', 'show', 'table', 'all']);
  return records
    .flatMap((record) => toRoute(record, family))
    .sort((a, b) => b.length - a.length || a.metric - b.metric);
}

/**
 * Cuts IPv4 targets along routes, most specific first.
 * @throws Fault NO_ROUTE naming targets that no route leads to
 */
export function cutIpv4(targets: Ranges, routes: readonly Route[]): readonly Leg[] {
  const legs: Leg[] = [];
  let rest = targets;
  for (const { to, device, gateway } of routes) {
    const reach = Ranges.of([parseRange(to)]);
    const here = rest.intersect(reach);
    const [first] = here;
    if (first === undefined) continue;
    const territory: Territory = { family: 4, from: here.from, to: here.to };
    legs.push({ device, gateway, territory, example: mappedWords(first.from) });
    rest = rest.subtract(reach);
  }
  for (const range of rest) {
    throw new Fault('NO_ROUTE', 'no route leads to these targets', { value: formatRange(range) });
  }
  return legs;
}

/**
 * Finds the routes that lead into prefixes: those within them, and for each the one that holds it.
 * @throws Fault NO_ROUTE naming a prefix that no route leads to
 */
export function cutIpv6(targets: readonly Prefix6[], routes: readonly Route[]): readonly Leg[] {
  const parsed = routes.map((route) => ({ route, prefix: parsePrefix6(route.to) }));
  const legs = new Map<Route, Leg>();
  for (const target of targets) {
    const holding = parsed.find(
      ({ prefix }) => prefix.length <= target.length && hasPrefix(target.words, prefix),
    );
    if (holding === undefined) {
      const value = `${formatIpv6(target.words)}/${target.length}`;
      throw new Fault('NO_ROUTE', 'no route leads to these targets', { value });
    }
    const within = parsed.filter(
      ({ prefix }) => prefix.length > target.length && hasPrefix(prefix.words, target),
    );
    for (const { route, prefix } of [...within, holding]) {
      const { device, gateway } = route;
      const territory: Territory = { family: 6, prefixes: [prefix] };
      const example = prefix.length > target.length ? prefix.words : target.words;
      if (!legs.has(route)) legs.set(route, { device, gateway, territory, example });
    }
  }
  return [...legs.values()];
}

/** Our address as the kernel would choose it towards a target. @throws Fault NO_ROUTE */
export async function sourceTowards(target: Words, device: string): Promise<Words> {
  const text = formatWords(target);
  const family = text.includes(':') ? '-6' : '-4';
  const [record] = await ipJson<RouteRecord>([family, 'route', 'get', text, 'oif', device]);
  if (record?.prefsrc === undefined) {
    throw new Fault('NO_ROUTE', 'no source address leads to this target', { value: text });
  }
  return parseWords(record.prefsrc);
}

export async function ipJson<Item>(args: readonly string[]): Promise<readonly Item[]> {
  try {
    const { stdout } = await run('ip', ['-json', ...args], { maxBuffer: 64 * 1024 * 1024 });
    return JSON.parse(stdout || '[]') as Item[];
  } catch (cause) {
    const why = `ip ${args.join(' ')} failed: ${describeError(cause).trim().split('\n').at(-1)}`;
    throw new Fault('NO_ROUTE', why, {}, cause);
  }
}

function toRoute(record: RouteRecord, family: Family): Route[] {
  const { dst, type, metric = 0, nexthops } = record;
  // Of several next hops the first is taken: a flow must keep to one way, and any will do.
  const hop = nexthops?.[0] ?? record;
  // What is sent to our own addresses goes by the loopback, whichever interface has them.
  const device = type === 'local' ? 'lo' : hop.dev;
  const { gateway } = hop;
  const table = record.table ?? 'main';
  if (device === undefined || (table !== 'main' && table !== 'local')) return [];
  if (type !== undefined && type !== 'local' && type !== 'unicast') return [];
  const whole = family === 4 ? '0.0.0.0/0' : '::/0';
  const bits = family === 4 ? '32' : '128';
  const to = dst === 'default' ? whole : dst.includes('/') ? dst : `${dst}/${bits}`;
  return [{ to, length: Number(to.split('/')[1]), metric, device, gateway }];
}
