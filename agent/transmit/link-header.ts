/** The link header of every frame to one next hop. */
import {
  ETHER_TYPE_IPV4,
  ETHER_TYPE_IPV6,
  ethernetOctets,
  type MacAddress,
  writeEthernet,
} from '../../shared/packet/ethernet.js';
import type { Family } from '../../shared/probe/probe.js';
import type { NextHop } from '../interfaces.js';
import { AF_PACKET, interfaceIndex } from '../system/libc.js';

/** The parameters of a frame sender; plain data. */
export interface FrameSenderSetup {
  readonly device: string;
  readonly family: Family;
  /** Octets of each packet, IP header included. */
  readonly octets: number;
  /** Undefined if the kernel finds the next hop. */
  readonly nextHop?: NextHop | undefined;
  /** The interface queue of this sender, if there are several. */
  readonly queue: number;
}

/** Setup of a sender that writes the link header itself, for which it needs the next hop. */
export type NextHopSetup = FrameSenderSetup & { readonly nextHop: NextHop };

/** The destination of a frame before its target is resolved. */
const UNREACHABLE: MacAddress = new Uint8Array(6);

export function linkHeaderOctets({ nextHop }: NextHopSetup): number {
  return ethernetOctets(nextHop.vlan);
}

/** Writes the link header of a frame that starts at `at`. */
export function writeLinkHeader(
  view: DataView,
  at: number,
  { nextHop, family }: NextHopSetup,
): void {
  writeEthernet(view, at, {
    destination: nextHop.gateway ?? UNREACHABLE,
    source: nextHop.source,
    type: family === 4 ? ETHER_TYPE_IPV4 : ETHER_TYPE_IPV6,
    vlan: nextHop.vlan,
  });
}

/** struct sockaddr_ll { u16 family; u16 protocol; int ifindex; … } of 20 octets. @throws Fault NO_ROUTE */
export function packetSocketAddress(device: string): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeInt32LE(interfaceIndex(device), 4);
  return address;
}
