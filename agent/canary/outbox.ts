/** Frames of one family and length, with complete link headers, filled one by one and sent in batches. */
import type { FrameSender } from '../interfaces.js';
import { openTxRing } from '../transmit/tx-ring.js';

const RUN_MAX = 64;
const TRIES = 4;
/** The writer of a frame fills in its MAC addresses. */
const NOBODY = new Uint8Array(6);

export class Outbox {
  readonly #frameSender: FrameSender;
  readonly #at = new Uint32Array(1024);
  #pending = 0;
  #room = 0;

  /** @param octets of a packet, without link header @throws Fault NO_CAP_NET_RAW or SYSTEM_CALL */
  constructor(device: string, family: 4 | 6, octets: number) {
    const nextHop = { source: NOBODY, gateway: NOBODY };
    this.#frameSender = openTxRing({ device, family, octets, nextHop, queue: 0 });
  }

  /** Writes one frame by calling `write`, after all pending ones were sent; drops it if there is no room even then. */
  put(write: (frameSender: FrameSender, at: number) => void): void {
    if (this.#pending === this.#room) this.flush();
    if (this.#pending === this.#room) return;
    write(this.#frameSender, this.#at[this.#pending] as number);
    this.#pending++;
  }

  /** Sends all pending frames; those that the kernel refuses are dropped, as a full network would drop them. */
  flush(): void {
    for (let tries = TRIES; this.#pending > 0 && tries > 0; tries--)
      this.#pending -= this.#frameSender.send(this.#pending);
    if (this.#pending > 0) this.#frameSender.discard();
    this.#pending = 0;
    this.#room = Math.min(RUN_MAX, this.#frameSender.room());
    this.#frameSender.locate(this.#room, this.#at);
  }
}
