/** A frame sender that accepts as many frames of a batch as `take` returns, and remembers them. */
import type { FrameSender } from '../../agent/interfaces.js';
import { formatAddress } from '../../shared/net/ipv6.js';
import { read } from './replies.js';

const FRAMES = 64;
const STRIDE = 128;

/** How many of `count` frames are accepted, or why none is. */
export type Take = (count: number) => number | { errno: number };

export class MemoryFrameSender implements FrameSender {
  readonly name = 'memory';
  readonly view = new DataView(new ArrayBuffer(FRAMES * STRIDE));
  readonly frames = FRAMES;
  /** `address:port` of each frame that was sent. */
  readonly sent: string[] = [];
  errno = 0;
  take: Take;
  readonly #octets: number;
  #first = 0;

  constructor(take: Take = (count) => count, octets = 44) {
    this.take = take;
    this.#octets = octets;
  }

  packetAt(frame: number): number {
    return frame * STRIDE;
  }
  room(): number {
    return FRAMES;
  }
  locate(count: number, packetAt: Uint32Array): void {
    for (let place = 0; place < count; place++) {
      packetAt[place] = ((this.#first + place) % FRAMES) * STRIDE;
    }
  }
  send(count: number): number {
    const taken = this.take(count);
    if (typeof taken !== 'number') {
      this.errno = taken.errno;
      return 0;
    }
    for (let place = 0; place < taken; place++) this.sent.push(this.#destinationAt(place));
    this.#first += taken;
    return taken;
  }
  dropFirst(): void {
    this.#first++;
  }
  discard(): void {}
  close(): void {}

  #destinationAt(place: number): string {
    const at = ((this.#first + place) % FRAMES) * STRIDE;
    // Dissected as if it were a reply, so its source and destination change places.
    const { source } = read(new Uint8Array(this.view.buffer, at, this.#octets)).flow;
    return `${formatAddress(source)}:${source.port}`;
  }
}
