/**
 * A batch of frames for sendmmsg(2), laid out once: frames, their iovecs, their mmsghdrs, and, if the socket
 * needs them, the destinations. One call then sends any run of frames. The kernel copies them, so every
 * accepted frame may be written again at once.
 *
 *   struct iovec    { void *base; size_t length; }                                      16 octets
 *   struct mmsghdr  { void *name; u32 namelen; pad; iovec *iov; size_t iovlen;
 *                     void *control; size_t controllen; int flags; pad; u32 len; pad }   64 octets
 */
import { allocate, lastErrno, type Memory, sendMessages } from '../system/libc.js';
import { frameStride } from './frame-stride.js';

const BATCH = 256;
const IOVEC_OCTETS = 16;
const MESSAGE_OCTETS = 64;
const ADDRESS_STRIDE = 32;

export interface BatchShape {
  /** Octets of each frame, link header included. */
  readonly frameOctets: number;
  /** Octets before the packet. */
  readonly linkHeaderOctets: number;
  /**
   * Socket address to copy into each message; only raw IP sockets need one. The destination in each copy is
   * filled in later.
   */
  readonly address?: Buffer;
}

export class MessageBatch {
  readonly view: DataView;
  readonly frames = BATCH;
  errno = 0;
  readonly #fd: number;
  readonly #memory: Memory;
  readonly #messages: readonly bigint[];
  readonly #addressesAt: number;
  readonly #linkOctets: number;
  readonly #stride: number;
  /** The first frame that was not sent; 0 again once all frames of the run were sent or dropped. */
  #first = 0;
  #left = 0;

  constructor(fd: number, { frameOctets, linkHeaderOctets, address }: BatchShape) {
    this.#stride = frameStride(frameOctets);
    const iovecsAt = BATCH * this.#stride;
    const messagesAt = iovecsAt + BATCH * IOVEC_OCTETS;
    this.#addressesAt = messagesAt + BATCH * MESSAGE_OCTETS;
    this.#linkOctets = linkHeaderOctets;
    this.#fd = fd;
    this.#memory = allocate(this.#addressesAt + BATCH * ADDRESS_STRIDE);
    const { view, base } = this.#memory;
    this.view = view;
    const messages: bigint[] = [];
    for (let i = 0; i < BATCH; i++) {
      const iovec = iovecsAt + i * IOVEC_OCTETS;
      view.setBigUint64(iovec, base + BigInt(i * this.#stride), true);
      view.setBigUint64(iovec + 8, BigInt(frameOctets), true);
      const message = messagesAt + i * MESSAGE_OCTETS;
      view.setBigUint64(message + 16, base + BigInt(iovec), true);
      view.setBigUint64(message + 24, 1n, true);
      if (address !== undefined) {
        const at = this.addressAt(i);
        new Uint8Array(view.buffer).set(address, at);
        view.setBigUint64(message, base + BigInt(at), true);
        view.setUint32(message + 8, address.length, true);
      }
      messages.push(base + BigInt(message));
    }
    this.#messages = messages;
  }

  /** Offset of frame n, link header included. */
  startOf(frame: number): number {
    return frame * this.#stride;
  }
  packetAt(frame: number): number {
    return frame * this.#stride + this.#linkOctets;
  }
  /** Offset of the destination of message n. */
  addressAt(frame: number): number {
    return this.#addressesAt + frame * ADDRESS_STRIDE;
  }
  room(): number {
    return BATCH - this.#first;
  }
  frameAt(slot: number): number {
    return this.#first + slot;
  }
  locate(count: number, packetAt: Uint32Array): void {
    for (let slot = 0; slot < count; slot++) {
      packetAt[slot] = (this.#first + slot) * this.#stride + this.#linkOctets;
    }
  }

  send(count: number): number {
    const taken = sendMessages(this.#fd, this.#messages[this.#first] as bigint, count);
    if (taken === 0) this.errno = lastErrno();
    this.#left = count;
    this.#advance(taken);
    return taken;
  }

  skip(): void {
    this.#advance(1);
  }

  withdraw(): void {
    this.#advance(this.#left);
  }

  release(): void {
    this.#memory.release();
  }

  #advance(frames: number): void {
    this.#left -= frames;
    this.#first = this.#left === 0 ? 0 : this.#first + frames;
  }
}
