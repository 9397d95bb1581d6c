/**
 * Raw IP: the kernel routes each packet and finds its neighbour. The way out on loopback and other
 * interfaces without Ethernet frames, and to targets on the agent's own link. The IP header is ours
 * (IPPROTO_RAW, raw(7)); the kernel fills in its checksum again.
 */
import type { Wire } from '../ports.js';
import {
  AF_INET,
  closeSocket,
  IPPROTO_RAW,
  openSocket,
  SO_BINDTODEVICE,
  SO_SNDBUF,
  SOCK_RAW,
  SOL_SOCKET,
  setOption,
} from './libc.js';
import { MessageBatch } from './message-batch.js';

const BATCH = 64;
const SEND_BUFFER_OCTETS = 4 * 1024 * 1024;
const DESTINATION = 16; // u32 in the IPv4 header (RFC 791 §3.1)

/** @param packetOctets IP header included @throws Fault NO_CAP_NET_RAW or SYSTEM_CALL */
export function openRawIp(device: string, packetOctets: number): Wire {
  const fd = openSocket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  setOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_OCTETS);
  setOption(fd, SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${device}\0`));
  const batch = new MessageBatch(fd, {
    frames: BATCH,
    frameOctets: packetOctets,
    isAddressed: true,
  });
  const { view } = batch;
  return {
    name: `raw-ip ${device}`,
    view,
    batch: BATCH,
    frameAt: (slot) => batch.frameAt(slot),
    send(from, to) {
      for (let i = from; i < to; i++) {
        batch.addressTo(i, view.getUint32(batch.frameAt(i) + DESTINATION));
      }
      return batch.send(from, to);
    },
    get errno() {
      return batch.errno;
    },
    close() {
      closeSocket(fd);
      batch.release();
    },
  };
}
