/**
 * Packet sockets that send ARP requests and neighbour solicitations, and receive only the answers. Their
 * filters are classic BPF, written by hand, so that sender threads need no libpcap.
 */

import { ARP_OPERATION_AT, ARP_REPLY, ETHER_TYPE_ARP } from '../../shared/packet/arp.js';
import { ETHER_TYPE_IPV6, ETHERNET_OCTETS } from '../../shared/packet/ethernet.js';
import { IPV6_OCTETS, NEXT_ICMPV6 } from '../../shared/packet/ipv6.js';
import { ADVERTISEMENT, NEXT_HEADER_AT } from '../../shared/packet/neighbour-discovery.js';
import type { Family } from '../../shared/probe/probe.js';
import {
  AF_PACKET,
  attachFilter,
  bindSocket,
  interfaceIndex,
  onSocket,
  openSocket,
  SO_RCVBUF,
  SOCK_RAW,
  SOL_SOCKET,
  setOption,
} from '../system/libc.js';

const RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024;

/** @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
export function openNeighbourSocket(device: string, family: Family): number {
  const fd = openSocket(AF_PACKET, SOCK_RAW, 0);
  onSocket(fd, () => {
    setOption(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_OCTETS);
    attachFilter(fd, family === 4 ? REPLIES : ADVERTISEMENTS);
    bindSocket(fd, packetAddress(device, family === 4 ? ETHER_TYPE_ARP : ETHER_TYPE_IPV6));
  });
  return fd;
}

/** struct sockaddr_ll; the protocol is in network order. */
function packetAddress(device: string, type: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(type, 2);
  address.writeInt32LE(interfaceIndex(device), 4);
  return address;
}

/** struct sock_filter { u16 code; u8 jumpTrue; u8 jumpFalse; u32 k }[] (bpf(4)). */
function program(...instructions: readonly (readonly [number, number, number, number])[]): Buffer {
  const octets = Buffer.alloc(8 * instructions.length);
  for (const [i, [code, jumpTrue, jumpFalse, k]] of instructions.entries()) {
    octets.writeUInt16LE(code, 8 * i);
    octets.writeUInt8(jumpTrue, 8 * i + 2);
    octets.writeUInt8(jumpFalse, 8 * i + 3);
    octets.writeUInt32LE(k, 8 * i + 4);
  }
  return octets;
}

const LOAD_OCTET = 0x30;
const LOAD_HALF = 0x28;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
const SNAP_OCTETS = 256;

/** Filter: ARP replies, by the operation field after the Ethernet header. */
const REPLIES = program(
  [LOAD_HALF, 0, 0, ETHERNET_OCTETS + ARP_OPERATION_AT],
  [JUMP_EQUAL, 0, 1, ARP_REPLY],
  [RETURN, 0, 0, SNAP_OCTETS],
  [RETURN, 0, 0, 0],
);
/** Filter: neighbour advertisements, by their ICMPv6 type, without extension headers. */
const ADVERTISEMENTS = program(
  [LOAD_OCTET, 0, 0, ETHERNET_OCTETS + NEXT_HEADER_AT],
  [JUMP_EQUAL, 0, 3, NEXT_ICMPV6],
  [LOAD_OCTET, 0, 0, ETHERNET_OCTETS + IPV6_OCTETS],
  [JUMP_EQUAL, 0, 1, ADVERTISEMENT],
  [RETURN, 0, 0, SNAP_OCTETS],
  [RETURN, 0, 0, 0],
);
