/**
 * A batch of probes of one family on their way to the network, column by column. Each step from target to
 * frame is one tight loop over columns, so that iterations overlap and no value is boxed. The inputs of the
 * cookies are in the WebAssembly kernel's memory.
 */
import type { Endpoint } from '../net/endpoint.js';
import { TagKernel } from '../simd/wasm-kernels.js';

export class ProbeBatch {
  /** Number of probes: rows [0, count) of every column. */
  count = 0;
  /** Words of the targets' addresses, most significant first; IPv4 uses the last one only. */
  readonly w0: Uint32Array;
  readonly w1: Uint32Array;
  readonly w2: Uint32Array;
  readonly w3: Uint32Array;
  readonly port: Uint16Array;
  /** Positions of the targets. */
  readonly position: Float64Array;
  /** Index of the source address, and its last word. */
  readonly source: Uint16Array;
  readonly sourceW3: Uint32Array;
  /**
   * The bits of our address that are chosen within the source window, as the last two words of an address;
   * zero if there is no source window.
   */
  readonly hostHigh: Uint32Array;
  readonly hostLow: Uint32Array;
  /** Our port in the high half, the target's in the low. */
  readonly ports: Uint32Array;
  /**
   * Cookies of 64 bits, in two words: `sequence` and `identification`. The low half of the second one is also
   * sent in the IPv4 header’s identification field, and in the IPv6 header’s flow label.
   */
  readonly sequence: Uint32Array;
  readonly identification: Uint32Array;
  /** Offsets of the packets in the frame sender's memory. */
  readonly packetAt: Uint32Array;
  /** Unfolded sums of the 16-bit words of both addresses, for checksums. */
  readonly addressSums: Uint32Array;
  /** Computes the cookies: its columns are those of this batch; x is our IPv4 address. */
  readonly tags: TagKernel;

  constructor(capacity: number) {
    this.tags = new TagKernel(capacity);
    this.w0 = this.tags.w0;
    this.w1 = this.tags.w1;
    this.w2 = this.tags.w2;
    this.w3 = this.tags.y;
    this.port = new Uint16Array(capacity);
    this.position = new Float64Array(capacity);
    this.source = new Uint16Array(capacity);
    this.sourceW3 = this.tags.x;
    this.hostHigh = this.tags.high;
    this.hostLow = this.tags.low;
    this.ports = this.tags.z;
    this.sequence = this.tags.firsts;
    this.identification = this.tags.seconds;
    this.packetAt = new Uint32Array(capacity);
    this.addressSums = new Uint32Array(capacity);
  }

  /** Adds a target; there must be room. */
  add(target: Endpoint, position = 0): void {
    const row = this.count++;
    this.w0[row] = target.w0;
    this.w1[row] = target.w1;
    this.w2[row] = target.w2;
    this.w3[row] = target.w3;
    this.port[row] = target.port;
    this.position[row] = position;
  }

  /** Moves a target to another row, whose target it overwrites. */
  move(from: number, to: number): void {
    this.w0[to] = this.w0[from] as number;
    this.w1[to] = this.w1[from] as number;
    this.w2[to] = this.w2[from] as number;
    this.w3[to] = this.w3[from] as number;
    this.port[to] = this.port[from] as number;
    this.position[to] = this.position[from] as number;
  }

  /** Keeps some rows, in their order. */
  keep(isKept: (row: number) => boolean): void {
    let kept = 0;
    for (let row = 0; row < this.count; row++) {
      if (!isKept(row)) continue;
      if (kept !== row) this.move(row, kept);
      kept++;
    }
    this.count = kept;
  }
}
