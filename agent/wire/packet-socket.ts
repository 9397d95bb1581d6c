/**
 * Ethernet frames through a packet socket (packet(7)), past the queueing discipline: all frames of a
 * survey go to the same next hop, so the link header is written once.
 */
import {
  ETHER_TYPE_IPV4,
  ETHERNET_OCTETS,
  type MacAddress,
  writeEthernet,
} from '../../shared/packet/ethernet.js';
import type { Wire } from '../ports.js';
import {
  AF_PACKET,
  bindSocket,
  closeSocket,
  interfaceIndex,
  openSocket,
  PACKET_QDISC_BYPASS,
  SO_SNDBUF,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
  setOption,
} from './libc.js';
import { MessageBatch } from './message-batch.js';

const BATCH = 64;
const SEND_BUFFER_OCTETS = 4 * 1024 * 1024;

export interface PacketLink {
  readonly device: string;
  readonly source: MacAddress;
  /** The next hop's address on the link. */
  readonly gateway: MacAddress;
}

/** @param packetOctets IP header included @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
export function openPacketSocket(link: PacketLink, packetOctets: number): Wire {
  // Protocol 0: this socket receives nothing; replies come through the capture.
  const fd = openSocket(AF_PACKET, SOCK_RAW, 0);
  setOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_OCTETS);
  setOption(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  bindSocket(fd, linkAddress(interfaceIndex(link.device)));
  const frameOctets = ETHERNET_OCTETS + packetOctets;
  const batch = new MessageBatch(fd, { frames: BATCH, frameOctets, isAddressed: false });
  const header = { destination: link.gateway, source: link.source, type: ETHER_TYPE_IPV4 };
  for (let i = 0; i < BATCH; i++) writeEthernet(batch.view, batch.frameAt(i), header);
  return {
    name: `packet ${link.device}`,
    view: batch.view,
    batch: BATCH,
    frameAt: (slot) => batch.frameAt(slot) + ETHERNET_OCTETS,
    send: (from, to) => batch.send(from, to),
    get errno() {
      return batch.errno;
    },
    close() {
      closeSocket(fd);
      batch.release();
    },
  };
}

/** struct sockaddr_ll { u16 family; u16 protocol; int ifindex; … } of 20 octets. */
function linkAddress(index: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeInt32LE(index, 4);
  return address;
}
