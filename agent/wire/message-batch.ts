/**
 * A batch of frames for sendmmsg(2), laid out once: frames, their iovecs, their mmsghdrs, and where
 * the socket needs them the destinations. One call then sends any stretch of the batch.
 *
 *   struct iovec    { void *base; size_t length; }                                      16 octets
 *   struct mmsghdr  { void *name; u32 namelen; pad; iovec *iov; size_t iovlen;
 *                     void *control; size_t controllen; int flags; pad; u32 len; pad }   64 octets
 *   struct sockaddr_in { u16 family; u16 port; u32 address; pad }                        16 octets
 */
import { AF_INET, allocate, lastErrno, type Memory, sendMessages } from './libc.js';

const FRAME_STRIDE = 128;
const IOVEC_OCTETS = 16;
const MESSAGE_OCTETS = 64;
const ADDRESS_OCTETS = 16;
const ADDRESS_FIELD = 4;

export interface BatchShape {
  /** Frames per call, at most. */
  readonly frames: number;
  /** Octets of each frame, link header included. */
  readonly frameOctets: number;
  /** Whether each message carries an IPv4 destination, as raw IP sockets need. */
  readonly isAddressed: boolean;
}

export class MessageBatch {
  readonly view: DataView;
  errno = 0;
  readonly #fd: number;
  readonly #memory: Memory;
  readonly #messages: readonly bigint[];
  readonly #addressesAt: number;

  constructor(fd: number, { frames, frameOctets, isAddressed }: BatchShape) {
    const iovecsAt = frames * FRAME_STRIDE;
    const messagesAt = iovecsAt + frames * IOVEC_OCTETS;
    this.#addressesAt = messagesAt + frames * MESSAGE_OCTETS;
    this.#fd = fd;
    this.#memory = allocate(this.#addressesAt + frames * ADDRESS_OCTETS);
    const { view, base } = this.#memory;
    this.view = view;
    const messages: bigint[] = [];
    for (let i = 0; i < frames; i++) {
      const iovec = iovecsAt + i * IOVEC_OCTETS;
      view.setBigUint64(iovec, base + BigInt(this.frameAt(i)), true);
      view.setBigUint64(iovec + 8, BigInt(frameOctets), true);
      const message = messagesAt + i * MESSAGE_OCTETS;
      view.setBigUint64(message + 16, base + BigInt(iovec), true);
      view.setBigUint64(message + 24, 1n, true);
      if (isAddressed) {
        const address = this.#addressesAt + i * ADDRESS_OCTETS;
        view.setUint16(address, AF_INET, true);
        view.setBigUint64(message, base + BigInt(address), true);
        view.setUint32(message + 8, ADDRESS_OCTETS, true);
      }
      messages.push(base + BigInt(message));
    }
    this.#messages = messages;
  }

  /** Where frame n starts in `view`. */
  frameAt(slot: number): number {
    return slot * FRAME_STRIDE;
  }

  /** The destination of message n, host order. */
  addressTo(slot: number, destination: number): void {
    this.view.setUint32(this.#addressesAt + slot * ADDRESS_OCTETS + ADDRESS_FIELD, destination);
  }

  /** Sends frames [from, to) and returns how many the kernel took. */
  send(from: number, to: number): number {
    const taken = sendMessages(this.#fd, this.#messages[from] as bigint, to - from);
    if (taken === 0) this.errno = lastErrno();
    return taken;
  }

  release(): void {
    this.#memory.release();
  }
}
