/**
 * Frames from a memory-mapped ring of the kernel (PACKET_RX_RING, TPACKET_V3; kernel documentation
 * networking/packet_mmap): the kernel fills blocks and hands each over by a status word; frames are read
 * in place, so receiving costs no system call and no copy. A packet socket of kind SOCK_DGRAM delivers
 * packets from their IP header on, whatever the interface carries below it.
 *
 *   struct tpacket_block_desc { u32 version; u32 private; u32 status; u32 packets; u32 first; … }
 *   struct tpacket3_hdr { u32 next; u32 seconds; u32 nanoseconds; u32 captured; u32 length; u32 status;
 *                         u16 link; u16 network; u32 hash; u32 vlanTag; … }   48 octets
 *   struct sockaddr_ll  { u16 family; u16 protocol; int index; u16 hardware; u8 kind; … }   behind it
 *
 * The ring is polled every few milliseconds: closed blocks wait in memory meanwhile, so the kernel need not
 * wake this thread.
 */
import { type Clock, systemClock } from '../../shared/base/clock.js';
import { LIMITS } from '../../shared/base/limits.js';
import { stopController } from '../../shared/base/stop.js';
import type { CaptureTotals, FrameSource, Receive, SourceSetup } from '../interfaces.js';
import {
  AF_PACKET,
  attachFilter,
  bindSocket,
  closeSocket,
  getOption,
  interfaceIndex,
  type Memory,
  mapSocket,
  onSocket,
  openSocket,
  SOCK_DGRAM,
  SOL_PACKET,
  setOption,
  tryOption,
} from '../system/libc.js';
import { compileFilter } from '../system/pcap-library.js';
import { interfaceDrops } from './interface-drops.js';

const PACKET_RX_RING = 5;
const PACKET_STATISTICS = 6;
const PACKET_VERSION = 10;
/** Since Linux 4.20. */
const PACKET_IGNORE_OUTGOING = 23;
const TPACKET_V3 = 2;
const ETH_P_ALL = 0x0003;

/**
 * The kernel closes a block after `BLOCK_MILLIS`, full or not, so the number of blocks bounds the time for which the
 * ring keeps frames while nobody reads: 128 blocks of the usual ring for one second.
 */
const BLOCK_OCTETS = 128 * 1024;
/** Required by the kernel, although frames vary in length in TPACKET_V3. */
const FRAME_OCTETS = 2048;
/** The kernel hands over a partly filled block after this. */
const BLOCK_MILLIS = 8;
/** Polling interval while the ring is empty. */
const LOOK_MILLIS = 10;
/** Maximum number of frames to read before this thread does other work. */
const TURN_FRAMES = 16_384;

const BLOCK_STATUS = 8; // u32
const BLOCK_PACKETS = 12; // u32
const BLOCK_FIRST = 16; // u32, from the start of the block
const STATUS_USER = 1;

const NEXT = 0; // u32, from this header; 0 in the last one of a block
const SECONDS = 4; // u32
const NANOSECONDS = 8; // u32
const CAPTURED = 12; // u32
const STATUS = 20; // u32
const NETWORK = 26; // u16, from this header
const VLAN_TAG = 32; // u32
const KIND = 48 + 10; // u8, of the address behind the header
const VLAN_VALID = 1 << 4;
const VLAN_MASK = 0xfff;
const PACKET_OUTGOING = 4;

/** @throws Fault NO_CAP_NET_RAW, NO_ROUTE or SYSTEM_CALL */
export function openRingSource(setup: SourceSetup, clock: Clock = systemClock): FrameSource {
  return new RingSource(setup, clock);
}

class RingSource implements FrameSource {
  readonly link = 'ip';
  readonly index: number;
  readonly #setup: SourceSetup;
  readonly #clock: Clock;
  readonly #fd: number;
  readonly #blocks: number;
  readonly #memory: Memory;
  #view: DataView;
  #statuses: Int32Array;
  readonly #closing = stopController();
  readonly #dropsBefore: number;
  #totals: CaptureTotals = { framesReceived: 0, framesDropped: 0, interfaceDropped: 0 };
  #readUntil: number;
  #isReading = false;
  /** The next block to read, and its unread packets. */
  #block = 0;
  #packetsLeft = 0;
  #packetAt = 0;

  constructor(setup: SourceSetup, clock: Clock) {
    this.#setup = setup;
    this.#clock = clock;
    this.#readUntil = clock.monotonic();
    this.#blocks = (setup.bufferOctets ?? LIMITS.captureOctets.fast) / BLOCK_OCTETS;
    this.index = interfaceIndex(setup.device);
    this.#dropsBefore = interfaceDrops(setup.device);
    // Protocol 0: nothing arrives before the filter is in place and the socket is bound.
    this.#fd = openSocket(AF_PACKET, SOCK_DGRAM, 0);
    this.#memory = onSocket(this.#fd, () => {
      setOption(this.#fd, SOL_PACKET, PACKET_VERSION, TPACKET_V3);
      tryOption(this.#fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
      setOption(this.#fd, SOL_PACKET, PACKET_RX_RING, ringRequest(this.#blocks));
      this.setFilter(setup.filter);
      const memory = mapSocket(this.#fd, this.#blocks * BLOCK_OCTETS);
      try {
        bindSocket(this.#fd, packetAddress(this.index));
      } catch (error) {
        memory.release();
        throw error;
      }
      return memory;
    });
    this.#view = this.#memory.view;
    this.#statuses = new Int32Array(this.#memory.buffer);
  }

  get view(): DataView {
    return this.#view;
  }

  get readUntil(): number {
    return this.#readUntil;
  }

  /** The interface may have come back under the same name, but with another index. */
  get isAlive(): boolean {
    if (this.#closing.signal.aborted) return false;
    try {
      return interfaceIndex(this.#setup.device) === this.index;
    } catch {
      return false;
    }
  }

  /** The kernel resets its counts at each reading: struct tpacket_stats_v3 { u32 packets, drops, … }. */
  get totals(): CaptureTotals {
    if (this.#closing.signal.aborted) return this.#totals;
    const counts = getOption(this.#fd, SOL_PACKET, PACKET_STATISTICS, 12);
    const framesDropped = counts.readUInt32LE(4);
    const { device } = this.#setup;
    this.#totals = {
      framesReceived: this.#totals.framesReceived + counts.readUInt32LE(0) - framesDropped,
      framesDropped: this.#totals.framesDropped + framesDropped,
      interfaceDropped: Math.max(0, interfaceDrops(device) - this.#dropsBefore),
    };
    return this.#totals;
  }

  setFilter(expression: string): void {
    attachFilter(this.#fd, compileFilter(expression, LIMITS.snapOctets));
  }

  start(receive: Receive): void {
    this.#isReading = true;
    void this.#readAll(receive).finally(() => this.#release());
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#totals = this.totals;
    this.#closing.abort();
    closeSocket(this.#fd);
    // The reader may be in the middle of a frame, so it unmaps the memory itself once it has stopped.
    if (!this.#isReading) this.#release();
  }

  async #readAll(receive: Receive): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const lookedAt = this.#clock.monotonic();
      const isEmpty = this.#read(receive, TURN_FRAMES);
      // The kernel hands over a block after `BLOCK_MILLIS`, so the frames in the block that it is still
      // filling arrived after this time.
      if (isEmpty) this.#readUntil = lookedAt - BLOCK_MILLIS;
      await this.#clock.sleep(isEmpty ? LOOK_MILLIS : 0, signal);
    }
  }

  /** No view of the memory may remain once it is unmapped. */
  #release(): void {
    this.#view = new DataView(new ArrayBuffer(0));
    this.#statuses = new Int32Array(0);
    this.#memory.release();
  }

  /** Reads at most this many frames. @returns true if no closed block is left */
  #read(receive: Receive, most: number): boolean {
    for (let left = most; left > 0 && !this.#closing.signal.aborted; ) {
      if (this.#packetsLeft === 0 && !this.#openBlock()) return true;
      while (this.#packetsLeft > 0 && left > 0 && !this.#closing.signal.aborted) {
        const at = this.#packetAt;
        this.#packetAt += this.#view.getUint32(at + NEXT, true);
        this.#packetsLeft--;
        left--;
        this.#deliver(at, receive);
      }
      if (this.#packetsLeft === 0) this.#releaseBlock();
    }
    return false;
  }

  #deliver(at: number, receive: Receive): void {
    const view = this.#view;
    if (view.getUint8(at + KIND) === PACKET_OUTGOING) return;
    const { vlan } = this.#setup;
    if (vlan !== undefined) {
      const isTagged = (view.getUint32(at + STATUS, true) & VLAN_VALID) !== 0;
      if (!isTagged || (view.getUint32(at + VLAN_TAG, true) & VLAN_MASK) !== vlan) return;
    }
    const micros =
      view.getUint32(at + SECONDS, true) * 1e6 +
      Math.floor(view.getUint32(at + NANOSECONDS, true) / 1000);
    const start = at + view.getUint16(at + NETWORK, true);
    receive(start, start + view.getUint32(at + CAPTURED, true), micros);
  }

  /** True once the kernel has handed over the next block. */
  #openBlock(): boolean {
    const at = this.#block * BLOCK_OCTETS;
    const status = Atomics.load(this.#statuses, (at + BLOCK_STATUS) >> 2);
    if ((status & STATUS_USER) === 0) return false;
    this.#packetsLeft = this.#view.getUint32(at + BLOCK_PACKETS, true);
    this.#packetAt = at + this.#view.getUint32(at + BLOCK_FIRST, true);
    return true;
  }

  #releaseBlock(): void {
    if (this.#closing.signal.aborted) return;
    Atomics.store(this.#statuses, (this.#block * BLOCK_OCTETS + BLOCK_STATUS) >> 2, 0);
    this.#block = (this.#block + 1) % this.#blocks;
  }
}

/** struct tpacket_req3 { u32 block_size, block_nr, frame_size, frame_nr, retire_blk_tov, priv, features }. */
function ringRequest(blocks: number): Buffer {
  const request = Buffer.alloc(28);
  const frames = (blocks * BLOCK_OCTETS) / FRAME_OCTETS;
  const values = [BLOCK_OCTETS, blocks, FRAME_OCTETS, frames, BLOCK_MILLIS];
  for (const [i, value] of values.entries()) request.writeUInt32LE(value, 4 * i);
  return request;
}

/** struct sockaddr_ll, of 20 octets; the protocol is in network order. */
function packetAddress(index: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_ALL, 2);
  address.writeInt32LE(index, 4);
  return address;
}
