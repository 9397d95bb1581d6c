/**
 * Chooses how probes leave, by looking at routes and interfaces: Ethernet frames where all targets
 * lie behind one gateway, raw IP through the kernel where they are neighbours of their own or the
 * interface carries no Ethernet. The choice is plain data, so that the sender's thread can open it.
 */
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import type { Ipv4 } from '../../shared/net/address.js';
import type { Ranges } from '../../shared/net/ranges.js';
import { type MacAddress, parseMac } from '../../shared/packet/ethernet.js';
import type { Origin, SourcePorts } from '../../shared/probe/probe.js';
import type { Wire } from '../ports.js';
import { resolveNeighbour } from './neighbours.js';
import { openPacketSocket, type PacketLink } from './packet-socket.js';
import { openRawIp } from './raw-ip.js';
import { cutByRoutes, type Leg, type Route, readRoutes, sourceTowards } from './routes.js';

export interface WayOut {
  readonly device: string;
  readonly origin: Origin;
  /** Where frames are written to the link by ourselves; else the kernel does it. */
  readonly link: PacketLink | undefined;
}

/** What the operator fixed; the rest is found out. */
export interface WayOutOptions {
  readonly device?: string | undefined;
  readonly gatewayMac?: MacAddress | undefined;
  readonly source?: Ipv4 | undefined;
  readonly sourcePorts?: SourcePorts | undefined;
}

const PORT_RANGE_FILE = '/proc/sys/net/ipv4/ip_local_port_range';
/** Enough to spread over, few enough that the capture's filter stays tight. */
const SOURCE_PORTS_MAX = 4096;
const SOURCE_PORTS_ENOUGH = 256;
const SOURCE_PORT_MIN = 1024;

/** @throws Fault NO_ROUTE or NO_NEIGHBOUR */
export async function findWayOut(
  targets: Ranges,
  options: WayOutOptions,
  clock: Clock,
): Promise<WayOut> {
  const routes = (await readRoutes()).filter(
    ({ device }) => options.device === undefined || device === options.device,
  );
  const legs = cutByRoutes(targets, routes);
  const device = onlyDevice(legs);
  const source = options.source ?? (await sourceTowards(firstOf(targets), device));
  const ports = options.sourcePorts ?? (await freePorts());
  const link = await linkOf(legs, device, options, clock);
  return { device, origin: { address: source, ports }, link };
}

/** Opens what was chosen. @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
export function openWire({ device, link }: WayOut, packetOctets: number): Wire {
  return link === undefined
    ? openRawIp(device, packetOctets)
    : openPacketSocket(link, packetOctets);
}

function onlyDevice(legs: readonly Leg[]): string {
  const devices = [...new Set(legs.map(({ route }) => route.device))];
  const [device] = devices;
  if (device !== undefined && devices.length === 1) return device;
  const why = 'the targets leave by several interfaces; survey them apart, or choose one with -i';
  throw new Fault('NO_ROUTE', why, { value: devices.join(', ') });
}

async function linkOf(
  legs: readonly Leg[],
  device: string,
  { gatewayMac }: WayOutOptions,
  clock: Clock,
): Promise<PacketLink | undefined> {
  const source = hardwareAddressOf(device);
  const gateway = onlyGateway(legs.map(({ route }) => route));
  if (source === undefined || gateway === undefined) return undefined;
  return {
    device,
    source,
    gateway: gatewayMac ?? (await resolveNeighbour(gateway, device, clock)),
  };
}

/** The gateway behind which all targets lie, if there is one. */
function onlyGateway(routes: readonly Route[]): string | undefined {
  const gateways = new Set(routes.map(({ gateway }) => gateway));
  return gateways.size === 1 ? [...gateways][0] : undefined;
}

/** Loopback and layer-3 interfaces have none, or zeros. */
function hardwareAddressOf(device: string): MacAddress | undefined {
  const [entry] = networkInterfaces()[device] ?? [];
  const address = entry === undefined || entry.internal ? undefined : parseMac(entry.mac);
  return address?.some((octet) => octet !== 0) ? address : undefined;
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

function firstOf(targets: Ranges): number {
  const [first] = targets;
  if (first === undefined) throw new Fault('EMPTY_SPACE', 'no targets are left to probe');
  return first.from;
}
