/**
 * PACKET_TX_RING (kernel documentation networking/packet_mmap): frames lie in memory that is shared with
 * the kernel, so a run is sent by setting one status word per frame and making one system call.
 *
 *   struct tpacket2_hdr { u32 status; u32 len; … }   32 octets, then the frame
 *
 * The kernel walks the ring in order, and only during that call. A frame that it could not send keeps its
 * status, and is the first one that the next call tries.
 */
import type { FrameSender } from '../interfaces.js';
import {
  AF_PACKET,
  bindSocket,
  closeSocket,
  kick,
  lastErrno,
  mapSocket,
  onSocket,
  openSocket,
  PACKET_QDISC_BYPASS,
  SO_SNDBUF,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
  setOption,
} from '../system/libc.js';
import { frameStride } from './frame-stride.js';
import {
  linkHeaderOctets,
  type NextHopSetup,
  packetSocketAddress,
  writeLinkHeader,
} from './link-header.js';

const PACKET_VERSION = 10;
const TPACKET_V2 = 1;
const PACKET_TX_RING = 13;

const AVAILABLE = 0;
const SEND_REQUEST = 1;
const WRONG_FORMAT = 4;

const STATUS = 0; // u32, little-endian as the machine
const LENGTH = 4; // u32
const HEADER_OCTETS = 32;

const FRAMES = 1024;
const FRAME_MASK = FRAMES - 1;
const BATCH = 256;
const BLOCK_OCTETS = 4096;
const SEND_BUFFER_OCTETS = 4 * 1024 * 1024;

/** @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
export function openTxRing(setup: NextHopSetup): FrameSender {
  const nextHop = linkHeaderOctets(setup);
  const stride = frameStride(HEADER_OCTETS + nextHop + setup.octets);
  const fd = openSocket(AF_PACKET, SOCK_RAW, 0);
  const memory = onSocket(fd, () => {
    setOption(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2);
    setOption(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
    setOption(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_OCTETS);
    setOption(fd, SOL_PACKET, PACKET_TX_RING, ringRequest(stride));
    bindSocket(fd, packetSocketAddress(setup.device));
    return mapSocket(fd, FRAMES * stride);
  });
  const { view } = memory;
  const words = new Uint32Array(memory.buffer);
  const wordsPerFrame = stride / 4;
  for (let i = 0; i < FRAMES; i++) {
    view.setUint32(i * stride + LENGTH, nextHop + setup.octets, true);
    writeLinkHeader(view, i * stride + HEADER_OCTETS, setup);
  }
  let first = 0;
  /** Frames written and not accepted. */
  let left = 0;
  let errno = 0;
  const statusOf = (slot: number) => ((first + slot) & FRAME_MASK) * wordsPerFrame + STATUS;
  return {
    name: `tx-ring ${setup.device}`,
    view,
    frames: FRAMES,
    packetAt: (frame) => frame * stride + HEADER_OCTETS + nextHop,
    room() {
      let room = 0;
      while (room < BATCH && words[statusOf(room)] === AVAILABLE) room++;
      return room;
    },
    locate(count, packetAt) {
      for (let slot = 0; slot < count; slot++) {
        packetAt[slot] = ((first + slot) & FRAME_MASK) * stride + HEADER_OCTETS + nextHop;
      }
    },
    send(count) {
      for (let slot = 0; slot < count; slot++) words[statusOf(slot)] = SEND_REQUEST;
      if (!kick(fd)) errno = lastErrno();
      let taken = 0;
      while (taken < count && wasTaken(words[statusOf(taken)])) taken++;
      for (let slot = taken; slot < count; slot++) words[statusOf(slot)] = AVAILABLE;
      first = (first + taken) & FRAME_MASK;
      left = count - taken;
      return taken;
    },
    // The kernel's position in the ring is that of the refused frame. The next frame must be written there,
    // so the slot stays and only its frame is dropped.
    dropFirst() {
      // Moves unaccepted frames only: the kernel may still read those that it has accepted.
      for (let slot = 1; slot < left; slot++) moveDown(memory.buffer, stride, first, slot);
      left--;
    },
    discard() {},
    get errno() {
      return errno;
    },
    close() {
      closeSocket(fd);
      memory.release();
    },
  };
}

/** It was sent, or is being sent. */
function wasTaken(status: number | undefined): boolean {
  return status !== SEND_REQUEST && status !== WRONG_FORMAT;
}

/** Copies the frame in `slot` to the slot before it. */
function moveDown(ring: ArrayBuffer, stride: number, first: number, slot: number): void {
  const from = ((first + slot) % FRAMES) * stride + HEADER_OCTETS;
  const to = ((first + slot - 1) % FRAMES) * stride + HEADER_OCTETS;
  new Uint8Array(ring).copyWithin(to, from, from + stride - HEADER_OCTETS);
}

/** struct tpacket_req { u32 block_size, block_nr, frame_size, frame_nr }. */
function ringRequest(stride: number): Buffer {
  const request = Buffer.alloc(16);
  const values = [BLOCK_OCTETS, (FRAMES * stride) / BLOCK_OCTETS, stride, FRAMES];
  for (const [i, value] of values.entries()) request.writeUInt32LE(value, i * 4);
  return request;
}
