/**
 * Sends Ethernet frames through a packet socket (packet(7)), bypassing the queueing discipline, many per
 * sendmmsg(2). Works on every Ethernet-like interface.
 */
import type { FrameSender } from '../interfaces.js';
import {
  AF_PACKET,
  bindSocket,
  closeSocket,
  onSocket,
  openSocket,
  PACKET_QDISC_BYPASS,
  SO_SNDBUF,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
  setOption,
} from '../system/libc.js';
import {
  linkHeaderOctets,
  type NextHopSetup,
  packetSocketAddress,
  writeLinkHeader,
} from './link-header.js';
import { MessageBatch } from './message-batch.js';

const SEND_BUFFER_OCTETS = 4 * 1024 * 1024;

/** @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
export function openPacketSocket(setup: NextHopSetup): FrameSender {
  // Protocol 0: this socket receives nothing; replies are captured elsewhere.
  const fd = openSocket(AF_PACKET, SOCK_RAW, 0);
  onSocket(fd, () => {
    setOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_OCTETS);
    setOption(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
    bindSocket(fd, packetSocketAddress(setup.device));
  });
  const nextHop = linkHeaderOctets(setup);
  const batch = new MessageBatch(fd, {
    frameOctets: nextHop + setup.octets,
    linkHeaderOctets: nextHop,
  });
  for (let i = 0; i < batch.frames; i++) writeLinkHeader(batch.view, batch.startOf(i), setup);
  return {
    name: `packet ${setup.device}`,
    view: batch.view,
    frames: batch.frames,
    packetAt: (frame) => batch.packetAt(frame),
    room: () => batch.room(),
    locate: (count, packetAt) => batch.locate(count, packetAt),
    send: (count) => batch.send(count),
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
