/**
 * Plans the egress of probes from routes and interfaces: one egress route per next hop, with Ethernet frames
 * to the gateway or to each neighbour, or through the kernel if the interface carries no Ethernet. The plan
 * is plain data, so that it can be posted to the sender threads, which open the egresses.
 */
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import type { Words } from '../../shared/net/endpoint.js';
import { formatWords, isMapped, type Prefix6, parseWords } from '../../shared/net/ipv6.js';
import type { PortRange } from '../../shared/net/ports.js';
import { type MacAddress, parseMac } from '../../shared/packet/ethernet.js';
import type { Family, Origin } from '../../shared/probe/probe.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Destinations, NextHop } from '../interfaces.js';
import { resolveNeighbour } from './next-hop.js';
import type { RouteSlice, Unroutable } from './routes/cut-targets.js';
import { slicesOf } from './routes/route-slices.js';
import { ipJson } from './routes/route-table.js';
import { addressWithin, linkLocalsOn, sourceOn, sourceTowards } from './source-address.js';
import { freePorts } from './source-ports.js';

/** An egress route: a family, an interface, a next hop, and the destinations that it serves. */
export interface EgressRoute {
  readonly family: Family;
  readonly device: string;
  readonly sources: readonly Words[];
  /** The source window, of IPv6. */
  readonly window?: Prefix6 | undefined;
  readonly destinations: Destinations;
  /** Undefined if the kernel finds the next hop. */
  readonly nextHop: NextHop | undefined;
}

export interface EgressPlan {
  readonly routes: readonly EgressRoute[];
  readonly origin: Origin;
  /** Targets without an egress route. */
  readonly unroutable: readonly Unroutable[];
  /** Shown to people before anything is sent. */
  readonly notes: readonly string[];
}

/** Settings of the operator; everything else is determined from the host. */
export interface EgressOptions {
  readonly device?: string | undefined;
  readonly gatewayMac?: MacAddress | undefined;
  readonly sourceMac?: MacAddress | undefined;
  readonly sources?: readonly Words[] | undefined;
  /** An IPv6 prefix that is routed to this host; probes are sent from addresses throughout this prefix. */
  readonly sourceWindow?: Prefix6 | undefined;
  readonly sourcePorts?: PortRange | undefined;
  readonly vlan?: number | undefined;
}

const WHOLE: Readonly<Record<Family, Destinations>> = {
  4: { family: 4, from: Float64Array.of(0), to: Float64Array.of(2 ** 32) },
  6: { family: 6, words: Uint32Array.of(0, 0, 0, 0, ...new Array<number>(4).fill(0xffffffff)) },
};

/** @throws Fault NO_ROUTE, NO_NEIGHBOUR or BAD_OPTION */
export async function planEgress(
  space: Space,
  options: EgressOptions,
  clock: Clock,
): Promise<EgressPlan> {
  const ports = options.sourcePorts ?? (await freePorts());
  const { device, sources = [], gatewayMac } = options;
  // If interface and gateway are given, no route is looked up, and no route needs to exist.
  const isFixed = device !== undefined && gatewayMac !== undefined;
  const { slices, unroutable, notes } = isFixed
    ? { slices: slicesAsGiven(space, device), unroutable: [], notes: [] }
    : await slicesOf(space, { device, sources });
  const routes: EgressRoute[] = [];
  for (const slice of slices) routes.push(await egressRoute(slice, options, clock));
  const { sourceWindow: window } = options;
  const origin = { sources: distinct(routes.flatMap((route) => route.sources)), window, ports };
  return { routes, origin, unroutable, notes: [...notes, ...notesOn(options, routes)] };
}

function slicesAsGiven(space: Space, device: string): RouteSlice[] {
  const families: Family[] = [];
  if (space.hasIpv4) families.push(4);
  if (space.hasIpv6) families.push(6);
  const noAddress: Words = [0, 0, 0, 0];
  return families.map((family) => {
    return { family, device, gateway: undefined, destinations: WHOLE[family], example: noAddress };
  });
}

async function egressRoute(
  slice: RouteSlice,
  options: EgressOptions,
  clock: Clock,
): Promise<EgressRoute> {
  const { device, family, destinations, example } = slice;
  const given = (options.sources ?? []).filter((words) => isMapped(words) === (family === 4));
  const isFixed = options.device !== undefined && options.gatewayMac !== undefined;
  const own = () => (isFixed ? sourceOn(device, family) : sourceTowards(example, device));
  const sources = given.length > 0 ? given : [await own()];
  const window = family === 6 ? options.sourceWindow : undefined;
  if (window === undefined) {
    const nextHop = await linkOf(slice, sources, options, clock);
    return { family, device, sources, destinations, nextHop };
  }
  await refuseOnLink(window);
  // The gateway's MAC address is asked for from a link-local address: the window is routed to this host and
  // is not on the link, so the gateway may not answer to an address of it.
  const nextHop = await linkOf(slice, await linkLocalsOn(device, clock), options, clock);
  if (nextHop === undefined || nextHop.gateway !== undefined) {
    return { family, device, sources, window, destinations, nextHop };
  }
  const reason =
    `targets on the link of ${device} cannot reply to addresses of this prefix: ` +
    'leave out these targets, or the prefix';
  throw new Fault('BAD_OPTION', reason, { flag: '--source-ip', value: formatWindow(window) });
}

async function linkOf(
  { device, gateway }: RouteSlice,
  addresses: readonly Words[],
  { gatewayMac, sourceMac, vlan }: EgressOptions,
  clock: Clock,
): Promise<NextHop | undefined> {
  const source = sourceMac ?? (await hardwareAddressOf(device));
  if (source === undefined && vlan !== undefined) {
    const reason = `${device} carries no Ethernet frames, so none with a VLAN tag can be sent`;
    throw new Fault('BAD_OPTION', reason, { flag: '--vlan', value: `${vlan}` });
  }
  if (source === undefined) return undefined;
  if (gatewayMac !== undefined) return { source, gateway: gatewayMac, vlan };
  if (vlan !== undefined) {
    const reason = 'VLAN tags need the MAC address of the next hop: set it with --gateway-mac';
    throw new Fault('BAD_OPTION', reason, { flag: '--vlan', value: `${vlan}` });
  }
  if (gateway === undefined) return { source, gateway: undefined };
  return { source, gateway: await resolveNeighbour(gateway, { device, source, addresses }, clock) };
}

/** Notes about source addresses that are not used, and about targets for which another source address is used. */
function notesOn(
  { sources = [], sourceWindow }: EgressOptions,
  routes: readonly EgressRoute[],
): string[] {
  const isSingle = (words: Words) => isMapped(words) || sourceWindow === undefined;
  const notes = strangersAmong(sources.filter(isSingle));
  if (sourceWindow !== undefined) {
    const prefix = formatWindow(sourceWindow);
    notes.push(`--source-ip: replies arrive only if all of ${prefix} is routed to this host`);
  }
  for (const family of [4, 6] as const) {
    const given = sources.filter((words) => isMapped(words) === (family === 4));
    const own = distinct(
      routes.filter((route) => route.family === family).flatMap((route) => route.sources),
    );
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

/**
 * Refuses a window on a link of this host, because no host answers neighbour solicitations for the addresses
 * of the window.
 */
async function refuseOnLink(window: Prefix6): Promise<void> {
  const local = await addressWithin(window);
  if (local === undefined) return;
  const reason = `a source window must be routed to this host, and this one is on the link of ${local}`;
  throw new Fault('BAD_OPTION', reason, { flag: '--source-ip', value: formatWindow(window) });
}

function formatWindow({ words, length }: Prefix6): string {
  return `${formatWords(words)}/${length}`;
}

/** Source addresses that no interface has: replies to them arrive only if other hosts route them here. */
function strangersAmong(sources: readonly Words[]): string[] {
  const entries = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const ours = new Set(entries.map(({ address }) => formatWords(parseWords(address))));
  const strange = sources.map(formatWords).filter((address) => !ours.has(address));
  const [first] = strange;
  if (first === undefined) return [];
  const which = strange.length === 1 ? first : `${first} and ${strange.length - 1} others`;
  return [`--source-ip: no interface has ${which}; replies arrive only if they are routed here`];
}

/** The MAC address of an interface; undefined if it carries no Ethernet frames, or uses no ARP. */
export async function hardwareAddressOf(device: string): Promise<MacAddress | undefined> {
  const [nextHop] = await ipJson<{
    link_type?: string;
    address?: string;
    flags?: readonly string[];
  }>(['link', 'show', 'dev', device]);
  const isEthernet = nextHop?.link_type === 'ether' && !nextHop.flags?.includes('NOARP');
  return isEthernet ? parseMac(nextHop.address ?? '') : undefined;
}

function distinct(addresses: readonly Words[]): Words[] {
  return [...new Map(addresses.map((words) => [words.join(), words])).values()];
}
