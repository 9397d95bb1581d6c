/**
 * Finds how probes leave, by looking at routes and interfaces: for every next hop a way out of its own,
 * with Ethernet frames to the gateway or to each neighbour, and through the kernel where the interface
 * carries no Ethernet. All of it is plain data, so that the senders' threads can open it.
 */
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { formatWords, isMapped, parseWords, type Words } from '../../shared/net/ipv6.js';
import { type MacAddress, parseMac } from '../../shared/packet/ethernet.js';
import type { Family, Origin, SourcePorts } from '../../shared/probe/probe.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Link, Territory } from '../ports.js';
import { resolveNeighbour } from './neighbours.js';
import { ipJson } from './route-table.js';
import { type Leg, legsOf, type Nowhere, sourceTowards } from './routes.js';

/** One way out: a family, an interface, a next hop, and what it leads to. */
export interface WayOut {
  readonly family: Family;
  readonly device: string;
  readonly sources: readonly Words[];
  readonly territory: Territory;
  /** Undefined where the kernel finds who a packet is for. */
  readonly link: Link | undefined;
}

export interface WaysOut {
  readonly ways: readonly WayOut[];
  readonly origin: Origin;
  /** Targets that no way out leads to. */
  readonly nowhere: readonly Nowhere[];
  /** What people should know before anything is sent. */
  readonly notes: readonly string[];
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
const WHOLE: Readonly<Record<Family, Territory>> = {
  4: { family: 4, from: Float64Array.of(0), to: Float64Array.of(2 ** 32) },
  6: { family: 6, words: Uint32Array.of(0, 0, 0, 0, ...new Array<number>(4).fill(0xffffffff)) },
};

/** @throws Fault NO_ROUTE, NO_NEIGHBOUR or BAD_OPTION */
export async function findWaysOut(
  space: Space,
  options: WayOutOptions,
  clock: Clock,
): Promise<WaysOut> {
  const ports = options.sourcePorts ?? (await freePorts());
  const { device, sources = [], gatewayMac } = options;
  // Where all is said, nothing needs to be looked up, and no route needs to be there.
  const isSaid = device !== undefined && gatewayMac !== undefined;
  const { legs, nowhere, notes } = isSaid
    ? { legs: legsAsSaid(space, device), nowhere: [], notes: [] }
    : await legsOf(space, { device, sources });
  const ways: WayOut[] = [];
  for (const leg of legs) ways.push(await wayOut(leg, options, clock));
  const origin = { sources: distinct(ways.flatMap((way) => way.sources)), ports };
  return { ways, origin, nowhere, notes: [...notes, ...notesOn(sources, ways)] };
}

function legsAsSaid(space: Space, device: string): Leg[] {
  const families: Family[] = [];
  if (space.ipv4Addresses.count > 0) families.push(4);
  if (space.ipv6Prefixes.length > 0) families.push(6);
  const nobody: Words = [0, 0, 0, 0];
  return families.map((family) => {
    return { family, device, gateway: undefined, territory: WHOLE[family], example: nobody };
  });
}

async function wayOut(leg: Leg, options: WayOutOptions, clock: Clock): Promise<WayOut> {
  const { device, family, territory } = leg;
  const given = (options.sources ?? []).filter((words) => isMapped(words) === (family === 4));
  const sources = given.length > 0 ? given : [await ownSource(leg, options)];
  const link = await linkOf(leg, sources, options, clock);
  return { family, device, sources, territory, link };
}

/** Our address towards a leg: as the kernel would choose it, or one of the interface's. @throws Fault NO_ROUTE */
async function ownSource(
  { device, family, example }: Leg,
  { gatewayMac, device: said }: WayOutOptions,
): Promise<Words> {
  if (gatewayMac === undefined || said === undefined) return await sourceTowards(example, device);
  const [record] = await ipJson<{ addr_info?: readonly { local?: string; scope?: string }[] }>([
    ...[`-${family}`, 'address', 'show', 'dev', device],
  ]);
  const address = record?.addr_info?.find(({ scope }) => scope === 'global')?.local;
  if (address !== undefined) return parseWords(address);
  const why = `${device} has no IPv${family} address: name one with --source-ip`;
  throw new Fault('NO_ROUTE', why, { flag: '--interface', value: device });
}

async function linkOf(
  { device, gateway }: Leg,
  addresses: readonly Words[],
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
  if (gateway === undefined) return { source, gateway: undefined };
  return { source, gateway: await resolveNeighbour(gateway, { device, source, addresses }, clock) };
}

/** An address of ours that is of no use, and targets that are asked from another one. */
function notesOn(sources: readonly Words[], ways: readonly WayOut[]): string[] {
  const notes = strangersAmong(sources);
  for (const family of [4, 6] as const) {
    const given = sources.filter((words) => isMapped(words) === (family === 4));
    const own = ways.filter((way) => way.family === family).flatMap((way) => way.sources);
    if (given.length > 0 && own.length === 0) {
      notes.push(`--source-ip names IPv${family} addresses, and no target is IPv${family}`);
    }
    if (sources.length > 0 && given.length === 0 && own.length > 0) {
      const from = own.map(formatWords).join(', ');
      notes.push(`--source-ip names no IPv${family} address: IPv${family} targets see ${from}`);
    }
  }
  return notes;
}

/** Addresses that no interface has: replies come to them only where others send them here. */
function strangersAmong(sources: readonly Words[]): string[] {
  const entries = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const ours = new Set(entries.map(({ address }) => formatWords(parseWords(address))));
  const strange = sources.map(formatWords).filter((address) => !ours.has(address));
  const [first] = strange;
  if (first === undefined) return [];
  const which = strange.length === 1 ? first : `${first} and ${strange.length - 1} others`;
  return [`--source-ip: no interface has ${which}; replies are heard only if they are routed here`];
}

/** Undefined for interfaces that carry no Ethernet frames, or do not need them. */
async function hardwareAddressOf(device: string): Promise<MacAddress | undefined> {
  const [link] = await ipJson<{
    link_type?: string;
    address?: string;
    flags?: readonly string[];
  }>(['link', 'show', 'dev', device]);
  const isEthernet = link?.link_type === 'ether' && !link.flags?.includes('NOARP');
  return isEthernet ? parseMac(link.address ?? '') : undefined;
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
