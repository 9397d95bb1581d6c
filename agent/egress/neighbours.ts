/**
 * The next hop's address on the link, from the kernel's neighbour table. Where the kernel does not
 * know it yet, one empty datagram to the gateway's discard port (RFC 863) makes it ask: by ARP (RFC
 * 826) or by neighbour discovery (RFC 4861).
 */
import { createSocket } from 'node:dgram';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { type MacAddress, parseMac } from '../../shared/packet/ethernet.js';
import { ipJson } from './route-table.js';

const DISCARD_PORT = 9;
const TRIES = 30;
const TRY_MILLIS = 100;

interface NeighbourRecord {
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

/** @throws Fault NO_NEIGHBOUR where nobody answers within three seconds */
export async function resolveNeighbour(
  gateway: string,
  device: string,
  clock: Clock,
): Promise<MacAddress> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const known = await lookUp(gateway, device);
    if (known !== undefined) return known;
    if (attempt % 10 === 0) await nudge(gateway, device);
    await clock.sleep(TRY_MILLIS);
  }
  const asks = gateway.includes(':') ? 'neighbour solicitations' : 'ARP';
  const why = `the gateway does not answer ${asks} on ${device}; name its address with --gateway-mac`;
  throw new Fault('NO_NEIGHBOUR', why, { value: gateway });
}

async function lookUp(gateway: string, device: string): Promise<MacAddress | undefined> {
  const records = await ipJson<NeighbourRecord>(['neigh', 'show', gateway, 'dev', device]);
  const good = records.find(({ state }) => !state?.includes('FAILED'));
  return good?.lladdr === undefined ? undefined : parseMac(good.lladdr);
}

function nudge(gateway: string, device: string): Promise<void> {
  const isIpv6 = gateway.includes(':');
  return new Promise((resolve) => {
    const socket = createSocket(isIpv6 ? 'udp6' : 'udp4');
    const close = () => socket.close(() => resolve());
    socket.once('error', close);
    // A link-local gateway is known on its link only (RFC 4007 §11).
    socket.send('', DISCARD_PORT, isIpv6 ? `${gateway}%${device}` : gateway, close);
  });
}
