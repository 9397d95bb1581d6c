/**
 * Finds how probes leave, by looking at routes and interfaces: for every next hop a way out of its own,
 * with Ethernet frames where there is a gateway, and through the kernel where the targets are
 * neighbours themselves or the interface carries no Ethernet. All of it is plain data, so that the
 * senders' threads can open it.
 */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { isMapped, type Prefix6, type Words } from '../../shared/net/ipv6.js';
import { type Range, Ranges } from '../../shared/net/ranges.js';
import { type MacAddress, parseMac } from '../../shared/packet/ethernet.js';
import type { Family, Origin, SourcePorts } from '../../shared/probe/probe.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Link, Territory } from '../ports.js';
import { resolveNeighbour } from './neighbours.js';
import { cutIpv4, cutIpv6, ipJson, type Leg, readRoutes, sourceTowards } from './routes.js';

/** One way out: a family, an interface, a next hop, and what it leads to. */
export interface WayOut {
  readonly family: Family;
  readonly device: string;
  readonly sources: readonly Words[];
  readonly territory: Territory;
  readonly link: Link | undefined;
}

export interface WaysOut {
  readonly ways: readonly WayOut[];
  readonly origin: Origin;
}

/** What the operator fixed; the rest is found out. */
export interface WayOutOptions {
  readonly device?: string | undefined;
  readonly gatewayMac?: MacAddress | undefined;
  readonly sourceMac?: MacAddress | undefined;
  readonly sources?: readonly Words[] | undefined;
  readonly sourcePorts?: SourcePorts | undefined;
  readonly vlan?: number | undefined;
}

const PORT_RANGE_FILE = '/proc/sys/net/ipv4/ip_local_port_range';
/** Enough to spread over, few enough that the capture's filter stays tight. */
const SOURCE_PORTS_MAX = 4096;
const SOURCE_PORTS_ENOUGH = 256;
const SOURCE_PORT_MIN = 1024;

/** @throws Fault NO_ROUTE or NO_NEIGHBOUR */
export async function findWaysOut(
  space: Space,
  options: WayOutOptions,
  clock: Clock,
): Promise<WaysOut> {
  const ports = options.sourcePorts ?? (await freePorts());
  const ways: WayOut[] = [];
  for (const legs of byHop(await legsOf(space, options.device))) {
    ways.push(await wayOut(legs, options, clock));
  }
  const sources = distinct(ways.flatMap((way) => way.sources));
  return { ways, origin: { sources, ports } };
}

async function legsOf(space: Space, device: string | undefined): Promise<readonly Leg[]> {
  const onDevice = async (family: Family) => {
    const routes = await readRoutes(family);
    return routes.filter((route) => device === undefined || route.device === device);
  };
  const { ipv4Addresses: ipv4, ipv6Prefixes: ipv6 } = space;
  return [
    ...(ipv4.count > 0 ? cutIpv4(ipv4, await onDevice(4)) : []),
    ...(ipv6.length > 0 ? cutIpv6(ipv6, await onDevice(6)) : []),
  ];
}

/** Legs that share family, interface and gateway. */
function byHop(legs: readonly Leg[]): Leg[][] {
  const groups = new Map<string, Leg[]>();
  for (const leg of legs) {
    const key = `${leg.territory.family} ${leg.device} ${leg.gateway ?? ''}`;
    groups.set(key, [...(groups.get(key) ?? []), leg]);
  }
  return [...groups.values()];
}

async function wayOut(legs: readonly Leg[], options: WayOutOptions, clock: Clock): Promise<WayOut> {
  const [first] = legs as [Leg];
  const { device } = first;
  const { family } = first.territory;
  const given = (options.sources ?? []).filter((words) => isMapped(words) === (family === 4));
  const sources = given.length > 0 ? given : [await sourceTowards(first.example, device)];
  const link = await linkOf(first, options, clock);
  return { family, device, sources, territory: union(legs), link };
}

async function linkOf(
  { device, gateway }: Leg,
  { gatewayMac, sourceMac, vlan }: WayOutOptions,
  clock: Clock,
): Promise<Link | undefined> {
  const source = sourceMac ?? (await hardwareAddressOf(device));
  if (source === undefined && vlan !== undefined) {
    const why = `${device} carries no Ethernet frames that a VLAN tag could be on`;
    throw new Fault('BAD_OPTION', why, { flag: '--vlan', value: `${vlan}` });
  }
  if (source === undefined) return undefined;
  if (gatewayMac !== undefined) return { source, gateway: gatewayMac, vlan };
  if (vlan !== undefined) {
    const why = 'frames with a VLAN tag need the next hop’s address: name it with --gateway-mac';
    throw new Fault('BAD_OPTION', why, { flag: '--vlan', value: `${vlan}` });
  }
  if (gateway === undefined) return undefined;
  return { source, gateway: await resolveNeighbour(gateway, device, clock) };
}

/** What all of the legs lead to; they are of one family. */
function union(legs: readonly Leg[]): Territory {
  const prefixes: Prefix6[] = [];
  const ranges: Range[] = [];
  for (const { territory } of legs) {
    if (territory.family === 6) prefixes.push(...territory.prefixes);
    else {
      territory.from.forEach((from, i) => {
        ranges.push({ from, to: territory.to[i] as number });
      });
    }
  }
  if (prefixes.length > 0) return { family: 6, prefixes };
  const { from, to } = Ranges.of(ranges);
  return { family: 4, from, to };
}

/** Undefined for interfaces that carry no Ethernet frames, or do not need them. */
async function hardwareAddressOf(device: string): Promise<MacAddress | undefined> {
  const [link] = await ipJson<{ link_type?: string; address?: string }>([
    ...['link', 'show', 'dev', device],
  ]);
  return link?.link_type === 'ether' ? parseMac(link.address ?? '') : undefined;
}

/**
 * Ports that the host's own connections never use, so that they cannot mix in: above its range where
 * there is room, else right below it, away from the ports that services like to listen on.
 */
async function freePorts(): Promise<SourcePorts> {
  const text = await readFile(PORT_RANGE_FILE, 'utf8');
  const [first = 32768, last = 60999] = text.trim().split(/\s+/).map(Number);
  const above = 65536 - (last + 1);
  if (above >= SOURCE_PORTS_ENOUGH) {
    return { from: last + 1, to: last + 1 + Math.min(above, SOURCE_PORTS_MAX) };
  }
  const below = first - SOURCE_PORT_MIN;
  if (below > 0) return { from: first - Math.min(below, SOURCE_PORTS_MAX), to: first };
  if (above > 0) return { from: last + 1, to: 65536 };
  const why = 'the host uses all ports for its own connections; name some with --source-port';
  throw new Fault('NO_ROUTE', why, { file: PORT_RANGE_FILE });
}

function distinct(addresses: readonly Words[]): Words[] {
  return [...new Map(addresses.map((words) => [words.join(), words])).values()];
}
