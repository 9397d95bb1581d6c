/**
 * Where the kernel would send the targets. The tables are read through `ip -json` (iproute2); the
 * space is then cut along them by longest prefix, so the answer holds for every target and not only
 * for a sample. Policy routing beyond the local and main tables is not followed.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describeError, Fault } from '../../shared/base/faults.js';
import { formatIpv4, type Ipv4, parseIpv4 } from '../../shared/net/address.js';
import { formatRange, parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';

const run = promisify(execFile);

export interface Route {
  /** Destinations. */
  readonly to: Ranges;
  readonly length: number;
  readonly device: string;
  /** Absent where the destinations are neighbours of their own. */
  readonly gateway: string | undefined;
  readonly source: string | undefined;
}

/** What `ip -json` prints of a route. */
interface RouteRecord {
  readonly type?: string;
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly prefsrc?: string;
  readonly table?: string;
}

/** A route and the part of the space that follows it. */
export interface Leg {
  readonly route: Route;
  readonly targets: Ranges;
}

/** @throws Fault NO_ROUTE where the tables cannot be read */
export async function readRoutes(): Promise<readonly Route[]> {
  const records = await ipJson<RouteRecord>(['-4', 'route', 'show', 'table', 'all']);
  return records.flatMap(toRoute);
}

/** @throws Fault NO_ROUTE naming targets that no route leads to */
export function cutByRoutes(targets: Ranges, routes: readonly Route[]): readonly Leg[] {
  const legs: Leg[] = [];
  let rest = targets;
  for (const route of [...routes].sort((a, b) => b.length - a.length)) {
    const here = rest.intersect(route.to);
    if (here.count === 0) continue;
    legs.push({ route, targets: here });
    rest = rest.subtract(route.to);
  }
  for (const range of rest) {
    throw new Fault('NO_ROUTE', 'no route leads to these targets', { value: formatRange(range) });
  }
  return legs;
}

/** Our address as the kernel would choose it towards a target. @throws Fault NO_ROUTE */
export async function sourceTowards(target: number, device: string): Promise<Ipv4> {
  const text = formatIpv4(target);
  const [record] = await ipJson<RouteRecord>(['-4', 'route', 'get', text, 'oif', device]);
  if (record?.prefsrc === undefined) {
    throw new Fault('NO_ROUTE', 'no source address leads to this target', { value: text });
  }
  return parseIpv4(record.prefsrc);
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

function toRoute(record: RouteRecord): Route[] {
  const { dst, gateway, dev, prefsrc, type } = record;
  const table = record.table ?? 'main';
  if (dev === undefined || (table !== 'main' && table !== 'local')) return [];
  if (type !== undefined && type !== 'local' && type !== 'unicast') return [];
  const to = Ranges.of([parseRange(dst === 'default' ? '0.0.0.0/0' : dst)]);
  return [{ to, length: 32 - Math.log2(to.size), device: dev, gateway, source: prefsrc }];
}
