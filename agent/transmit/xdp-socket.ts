/**
 * AF_XDP (kernel documentation networking/af_xdp), sending only, in copy mode. Frames lie in a UMEM. A descriptor in
 * the TX ring asks the kernel to send a frame; once the frame may be written again, its address comes back in the
 * completion ring. No BPF program is needed to send. Packet taps do not see frames that are sent in this way.
 *
 *   struct xdp_desc { u64 address; u32 length; u32 options }          16 octets
 *
 * The kernel consumes descriptors only during our system calls. If the driver drops a frame, the call fails with
 * EBUSY; the descriptor is then used up, so the frame gets another one.
 */
import type { FrameSender } from '../interfaces.js';
import {
  allocate,
  bindSocket,
  closeSocket,
  getOption,
  interfaceIndex,
  kick,
  lastErrno,
  type Memory,
  mapSocket,
  openSocket,
  SOCK_RAW,
  setOption,
  tryOption,
} from '../system/libc.js';
import { frameStride } from './frame-stride.js';
import { linkHeaderOctets, type NextHopSetup, writeLinkHeader } from './link-header.js';

const AF_XDP = 44;
const SOL_XDP = 283;
const XDP_MMAP_OFFSETS = 1;
const XDP_TX_RING = 3;
const XDP_UMEM_REG = 4;
const XDP_UMEM_FILL_RING = 5;
const XDP_UMEM_COMPLETION_RING = 6;
/** Socket option (since Linux 6.17) of the maximum number of descriptors per call, which was always 32 before. */
const XDP_MAX_TX_BUDGET = 9;
const TX_RING_OFFSET = 0x80000000n;
const COMPLETION_RING_OFFSET = 0x180000000n;
const XDP_COPY = 2;
const EBUSY = 16;
const ENODEV = 19;

const CHUNK_OCTETS = 4096;
const FRAMES = 1024;
const FRAME_MASK = FRAMES - 1;
const RING_ENTRIES = 1024;
const RING_MASK = RING_ENTRIES - 1;
const BATCH = 256;
const DESCRIPTOR_OCTETS = 16;

/** @throws Fault NO_CAP_NET_RAW or NO_ROUTE; SYSTEM_CALL if the interface does not support such sockets */
export function openXdpSocket(setup: NextHopSetup): FrameSender {
  const nextHop = linkHeaderOctets(setup);
  const frameOctets = nextHop + setup.octets;
  const stride = frameStride(frameOctets);
  const umem = allocate(FRAMES * stride);
  for (let i = 0; i < FRAMES; i++) writeLinkHeader(umem.view, i * stride, setup);
  const inOrder = Uint32Array.from({ length: FRAMES }, (_, i) => i);
  let socket: XdpSocket | undefined;
  let order: Uint32Array = inOrder;
  let errno = 0;
  try {
    socket = new XdpSocket(setup, umem, frameOctets, order);
  } catch (error) {
    umem.release();
    throw error;
  }
  /** Descriptors in the ring cannot be withdrawn, but a new socket has an empty ring. */
  const drop = (skipped: number) => {
    order = socket?.orderFrom(skipped) ?? order;
    socket?.close();
    socket = undefined;
  };
  /** Opens a socket if there is none; fails while a closed one occupies the queue, or without the interface. */
  const current = () => {
    try {
      socket ??= new XdpSocket(setup, umem, frameOctets, order);
    } catch {
      errno = ENODEV;
    }
    return socket;
  };
  return {
    name: `af-xdp ${setup.device}`,
    view: umem.view,
    frames: FRAMES,
    packetAt: (frame) => frame * stride + nextHop,
    room: () => Math.min(BATCH, current()?.free() ?? 0),
    locate(count, packetAt) {
      for (let slot = 0; slot < count; slot++) {
        const frame = socket?.frameAt(slot) ?? (order[slot] as number);
        packetAt[slot] = frame * stride + nextHop;
      }
    },
    send(count) {
      const open = current();
      if (open === undefined) return 0;
      const taken = open.send(count);
      errno = open.errno;
      return taken;
    },
    dropFirst: () => drop(1),
    discard: () => drop(0),
    get errno() {
      return errno;
    },
    close() {
      socket?.close();
      umem.release();
    },
  };
}

/** Offsets of a ring's words within its mapping. */
interface RingOffsets {
  readonly producer: number;
  readonly consumer: number;
  readonly entries: number;
}

class XdpSocket {
  errno = 0;
  readonly #fd: number;
  readonly #tx: Memory;
  readonly #completion: Memory;
  readonly #txWords: Int32Array;
  readonly #completionWords: Int32Array;
  readonly #txAt: RingOffsets;
  readonly #completionAt: RingOffsets;
  /** Frames in the order of their use: those from `#head` to `#tail` may be written. */
  readonly #job: Uint32Array;
  #head = 0;
  #tail = FRAMES;
  /**
   * Numbers of descriptors written, and used up by the kernel, since the socket was opened. All counts are
   * modulo 2^32, as in the rings.
   */
  #produced = 0;
  #consumed = 0;
  #completed = 0;
  /**
   * Per frame: number of outstanding completions of descriptors whose frame the driver dropped. They do not
   * free the frame, because it was queued again.
   */
  readonly #again = new Uint8Array(FRAMES);

  readonly #stride: number;

  /** @param order all frames, those in the first slots first */
  constructor(setup: NextHopSetup, umem: Memory, frameOctets: number, order: Uint32Array) {
    this.#job = order;
    this.#stride = frameStride(frameOctets);
    const fd = openSocket(AF_XDP, SOCK_RAW, 0);
    this.#fd = fd;
    const mapped: Memory[] = [];
    try {
      setOption(fd, SOL_XDP, XDP_UMEM_REG, umemRegistration(umem.base, this.#stride));
      // A fill ring is required, and stays empty, because nothing is received.
      setOption(fd, SOL_XDP, XDP_UMEM_FILL_RING, 64);
      setOption(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, RING_ENTRIES);
      setOption(fd, SOL_XDP, XDP_TX_RING, RING_ENTRIES);
      const offsets = getOption(fd, SOL_XDP, XDP_MMAP_OFFSETS, 128);
      this.#txAt = ringOffsets(offsets, 32);
      this.#completionAt = ringOffsets(offsets, 96);
      const txOctets = this.#txAt.entries + RING_ENTRIES * DESCRIPTOR_OCTETS;
      this.#tx = mapSocket(fd, txOctets, TX_RING_OFFSET);
      mapped.push(this.#tx);
      const octets = this.#completionAt.entries + RING_ENTRIES * 8;
      this.#completion = mapSocket(fd, octets, COMPLETION_RING_OFFSET);
      mapped.push(this.#completion);
      bindSocket(fd, xdpAddress(setup));
      tryOption(fd, SOL_XDP, XDP_MAX_TX_BUDGET, BATCH);
    } catch (error) {
      // A mapping keeps its socket alive.
      for (const memory of mapped) memory.release();
      closeSocket(fd);
      throw error;
    }
    this.#txWords = new Int32Array(this.#tx.buffer);
    this.#completionWords = new Int32Array(this.#completion.buffer);
    for (let i = 0; i < RING_ENTRIES; i++) {
      const at = this.#txAt.entries + i * DESCRIPTOR_OCTETS;
      this.#tx.view.setUint32(at + 8, frameOctets, true);
    }
  }

  /** Number of frames that may be written; those with descriptors still queued count, in the first slots. */
  free(): number {
    this.#reclaim();
    return (this.#tail - this.#head) | 0;
  }

  frameAt(slot: number): number {
    return this.#job[(this.#head + slot) & FRAME_MASK] as number;
  }

  send(count: number): number {
    // Completions make room: the kernel accepts nothing while their ring is full.
    this.#reclaim();
    const waiting = (this.#produced - this.#consumed) | 0;
    for (let slot = waiting; slot < count; slot++) this.#submit(this.frameAt(slot));
    Atomics.store(this.#txWords, this.#txAt.producer >> 2, this.#produced);
    const before = this.#consumed;
    this.errno = kick(this.#fd) ? 0 : lastErrno();
    const seen = Atomics.load(this.#txWords, this.#txAt.consumer >> 2);
    let taken = Math.max(0, (seen - before) | 0);
    this.#consumed = (before + taken) | 0;
    if (this.errno === EBUSY) {
      // The driver dropped the last descriptor's frame. If no other one was used up, `seen` has not moved.
      if (taken === 0) this.#consumed = (before + 1) | 0;
      else taken--;
      this.#requeue(taken);
    }
    this.#head = (this.#head + taken) | 0;
    return taken;
  }

  /** All frames in a new order: first the frame in `slot`, then those after it, then the rest. */
  orderFrom(slot: number): Uint32Array {
    const first = Array.from({ length: ((this.#tail - this.#head) | 0) - slot }, (_, i) => {
      return this.frameAt(slot + i);
    });
    const rest = Array.from({ length: FRAMES }, (_, i) => i).filter((i) => !first.includes(i));
    return Uint32Array.from([...first, ...rest]);
  }

  close(): void {
    closeSocket(this.#fd);
    this.#tx.release();
    this.#completion.release();
  }

  #submit(frame: number): void {
    const entry = this.#produced & RING_MASK;
    this.#produced = (this.#produced + 1) | 0;
    // Addresses in the UMEM are below 2^32: the upper half of the word stays zero.
    this.#txWords[(this.#txAt.entries + entry * DESCRIPTOR_OCTETS) >> 2] = frame * this.#stride;
  }

  /** Queues the frame in `slot`, which the driver dropped, again: with a new descriptor, behind the others. */
  #requeue(slot: number): void {
    const frame = this.frameAt(slot);
    const waiting = (this.#produced - this.#consumed) | 0;
    for (let i = slot; i < slot + waiting; i++) {
      this.#job[(this.#head + i) & FRAME_MASK] = this.frameAt(i + 1);
    }
    this.#job[(this.#head + slot + waiting) & FRAME_MASK] = frame;
    this.#again[frame] = (this.#again[frame] as number) + 1;
    this.#submit(frame);
  }

  /** Takes back the frames that the kernel has finished with. */
  #reclaim(): void {
    const { producer, consumer, entries } = this.#completionAt;
    const words = this.#completionWords;
    const again = this.#again;
    const done = Atomics.load(words, producer >> 2);
    let completed = this.#completed;
    let tail = this.#tail;
    for (; completed !== done; completed = (completed + 1) | 0) {
      const address = words[(entries + (completed & RING_MASK) * 8) >> 2] as number;
      const frame = (address / this.#stride) | 0;
      if (again[frame] === 0) {
        this.#job[tail & FRAME_MASK] = frame;
        tail = (tail + 1) | 0;
      } else again[frame] = (again[frame] as number) - 1;
    }
    this.#completed = completed;
    this.#tail = tail;
    Atomics.store(words, consumer >> 2, completed);
  }
}

/** struct xdp_umem_reg { u64 addr; u64 len; u32 chunk_size; u32 headroom; u32 flags; … }. */
function umemRegistration(base: bigint, stride: number): Buffer {
  const registration = Buffer.alloc(32);
  registration.writeBigUInt64LE(base, 0);
  registration.writeBigUInt64LE(BigInt(FRAMES * stride), 8);
  registration.writeUInt32LE(CHUNK_OCTETS, 16);
  return registration;
}

/** struct xdp_ring_offset { u64 producer; u64 consumer; u64 desc; u64 flags }, at `at`. */
function ringOffsets(offsets: Buffer, at: number): RingOffsets {
  const read = (field: number) => Number(offsets.readBigUInt64LE(at + field));
  return { producer: read(0), consumer: read(8), entries: read(16) };
}

/** struct sockaddr_xdp { u16 family; u16 flags; u32 ifindex; u32 queue; u32 shared_umem_fd }. */
function xdpAddress({ device, queue }: NextHopSetup): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_XDP, 0);
  address.writeUInt16LE(XDP_COPY, 2);
  address.writeUInt32LE(interfaceIndex(device), 4);
  address.writeUInt32LE(queue, 8);
  return address;
}
