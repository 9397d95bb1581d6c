/**
 * Raw IP: the kernel routes each packet and finds its neighbour. Used on loopback and other interfaces without
 * Ethernet frames, or if `--transmit raw-ip` is given. The IP header is ours (IPPROTO_RAW, raw(7) and
 * ipv6(7)), except that the kernel recomputes the IPv4 header checksum.
 *
 *   struct sockaddr_in  { u16 family; u16 port; u32 address; pad }                         16 octets
 *   struct sockaddr_in6 { u16 family; u16 port; u32 flow; 16 octets address; u32 scope }   28 octets
 */
import type { FrameSender } from '../interfaces.js';
import {
  AF_INET,
  AF_INET6,
  closeSocket,
  IPPROTO_RAW,
  onSocket,
  openSocket,
  SO_BINDTODEVICE,
  SO_SNDBUF,
  SOCK_RAW,
  SOL_SOCKET,
  setOption,
} from '../system/libc.js';
import type { FrameSenderSetup } from './link-header.js';
import { MessageBatch } from './message-batch.js';

const LOOPBACK = 'lo';
const SEND_BUFFER_OCTETS = 4 * 1024 * 1024;

const IPV4 = { domain: AF_INET, addressOctets: 16, addressField: 4, destination: 16, words: 1 };
const IPV6 = { domain: AF_INET6, addressOctets: 28, addressField: 8, destination: 24, words: 4 };

/** @throws Fault NO_CAP_NET_RAW or SYSTEM_CALL */
export function openRawIp({ device, family, octets }: FrameSenderSetup): FrameSender {
  const form = family === 4 ? IPV4 : IPV6;
  const fd = openSocket(form.domain, SOCK_RAW, IPPROTO_RAW);
  onSocket(fd, () => {
    setOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_OCTETS);
    // Packets to our own addresses use the loopback anyway, and are lost if the socket is bound to it.
    if (device !== LOOPBACK) setOption(fd, SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${device}\0`));
  });
  const address = Buffer.alloc(form.addressOctets);
  address.writeUInt16LE(form.domain);
  const batch = new MessageBatch(fd, { frameOctets: octets, linkHeaderOctets: 0, address });
  const { view } = batch;
  /** Copies the packet's destination into the socket address of its message, where it is needed too. */
  const copyDestination = (frame: number) => {
    const from = batch.packetAt(frame) + form.destination;
    const to = batch.addressAt(frame) + form.addressField;
    for (let word = 0; word < form.words; word++) {
      view.setUint32(to + 4 * word, view.getUint32(from + 4 * word));
    }
  };
  return {
    name: `raw-ip ${device}`,
    view,
    frames: batch.frames,
    packetAt: (frame) => batch.packetAt(frame),
    room: () => batch.room(),
    locate: (count, packetAt) => batch.locate(count, packetAt),
    send(count) {
      for (let slot = 0; slot < count; slot++) copyDestination(batch.frameAt(slot));
      return batch.send(count);
    },
    dropFirst: () => batch.skip(),
    discard: () => batch.withdraw(),
    get errno() {
      return batch.errno;
    },
    close() {
      closeSocket(fd);
      batch.release();
    },
  };
}
