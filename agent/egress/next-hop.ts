/**
 * Resolves the MAC address of the next hop: from the kernel's neighbour table if the entry is confirmed or
 * static, otherwise by a request of our own. A stale entry may belong to another host by now, and probes sent
 * to it would make every target look silent.
 */
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { Endpoint, type Words } from '../../shared/net/endpoint.js';
import { isMapped, parseWords } from '../../shared/net/ipv6.js';
import { type MacAddress, parseMac } from '../../shared/packet/ethernet.js';
import { RESOLVING } from '../interfaces.js';
import { NeighbourResolver } from './neighbour-resolver.js';
import { ipJson } from './routes/route-table.js';

const LOOK_MILLIS = 10;
const SURE = ['REACHABLE', 'PERMANENT', 'NOARP'];

interface NeighbourRecord {
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

/** The sender of the request. */
export interface Asker {
  readonly device: string;
  /** The sender's MAC address. */
  readonly source: MacAddress;
  readonly addresses: readonly Words[];
}

/** @throws Fault NO_NEIGHBOUR if no host answers */
export async function resolveNeighbour(
  gateway: string,
  { device, source, addresses }: Asker,
  clock: Clock,
): Promise<MacAddress> {
  const known = await lookUp(gateway, device);
  if (known !== undefined) return known;
  const family = gateway.includes(':') ? 6 : 4;
  const sources = addresses.filter((words) => isMapped(words) === (family === 4));
  const nextHop = { source, gateway: undefined };
  const neighbours = new NeighbourResolver({ device, family, nextHop, sources });
  try {
    const target = new Endpoint();
    target.setWords(parseWords(gateway));
    neighbours.request(target, clock.monotonic());
    for (;;) {
      neighbours.poll(clock.monotonic(), 1);
      const found = neighbours.lookup(target, clock.monotonic());
      if (typeof found !== 'string') return found;
      if (found !== RESOLVING) break;
      await clock.sleep(LOOK_MILLIS);
    }
  } finally {
    neighbours.close();
  }
  const method = family === 6 ? 'neighbour solicitations' : 'ARP';
  const reason = `the gateway does not answer ${method} on ${device}: set its MAC with --gateway-mac`;
  throw new Fault('NO_NEIGHBOUR', reason, { value: gateway });
}

async function lookUp(gateway: string, device: string): Promise<MacAddress | undefined> {
  const records = await ipJson<NeighbourRecord>(['neigh', 'show', gateway, 'dev', device]);
  const good = records.find(({ state = [] }) => state.some((each) => SURE.includes(each)));
  return good?.lladdr === undefined ? undefined : parseMac(good.lladdr);
}
