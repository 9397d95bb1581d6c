/**
 * The ordered set of (address, port) that a survey may probe. Index i is the port i mod P of the
 * address ⌊i / P⌋, addresses counted in order through the ranges: `at` and `indexOf` are inverses.
 * The canonical bytes name a space wherever it travels: their SHA-256 is its hash.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.js';
import type { TargetIndex } from '../base/brand.js';
import { Fault } from '../base/faults.js';
import { LIMITS } from '../base/limits.js';
import type { Port } from '../net/ports.js';
import { Ranges } from '../net/ranges.js';
import type { Target } from '../net/target.js';
import { formatCount } from './quantities.js';

/** Canonical form: magic, range count, (first, last) per range, port count, ports; big-endian. */
const MAGIC = 0x54535031; // "TSP1"

export class Space {
  readonly ranges: Ranges;
  readonly ports: readonly Port[];
  readonly addresses: number;
  readonly size: number;
  /** Addresses before each range. */
  readonly #before: Float64Array;
  readonly #from: Float64Array;
  /** Index of each port in `ports`, or −1. */
  readonly #portIndex: Int32Array;
  readonly #ports: Uint16Array;

  constructor(ranges: Ranges, ports: readonly Port[]) {
    this.ranges = ranges;
    this.ports = ports;
    this.addresses = ranges.size;
    this.size = this.addresses * ports.length;
    if (this.size < 1) throw new Fault('EMPTY_SPACE', 'no targets are left to probe');
    if (this.size > LIMITS.spaceSizeMax) {
      const why = `${formatCount(this.size)} targets are more than 2^53: narrow targets or ports`;
      throw new Fault('SPACE_TOO_LARGE', why);
    }
    this.#from = ranges.from;
    this.#before = new Float64Array(ranges.count);
    let before = 0;
    let i = 0;
    for (const { from, to } of ranges) {
      this.#before[i++] = before;
      before += to - from;
    }
    this.#ports = Uint16Array.from(ports);
    this.#portIndex = new Int32Array(65536).fill(-1);
    for (let p = 0; p < ports.length; p++) this.#portIndex[this.#ports[p] as number] = p;
  }

  /** Writes the target at an index into `target`. No allocation; O(log ranges). */
  at(index: TargetIndex, target: Target): void {
    const portCount = this.#ports.length;
    const portIndex = index % portCount;
    const ordinal = (index - portIndex) / portCount;
    const before = this.#before;
    let low = 0;
    let high = before.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((before[middle] as number) <= ordinal) low = middle;
      else high = middle - 1;
    }
    target.address = (this.#from[low] as number) + (ordinal - (before[low] as number));
    target.port = this.#ports[portIndex] as number;
  }

  /** The index of a target, or −1 where the space does not hold it. O(log ranges). */
  indexOf(target: Target): TargetIndex | -1 {
    const portIndex = this.#portIndex[target.port] ?? -1;
    if (portIndex < 0) return -1;
    const { from, to } = this.ranges;
    let low = 0;
    let high = from.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((to[middle] as number) <= target.address) low = middle + 1;
      else high = middle;
    }
    const start = from[low];
    if (start === undefined || target.address < start) return -1;
    const ordinal = (this.#before[low] as number) + (target.address - start);
    return (ordinal * this.#ports.length + portIndex) as TargetIndex;
  }

  toBytes(): Uint8Array {
    const { ranges } = this;
    const bytes = new Uint8Array(8 + ranges.count * 8 + 4 + this.ports.length * 2);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, MAGIC);
    view.setUint32(4, ranges.count);
    let at = 8;
    for (const { from, to } of ranges) {
      view.setUint32(at, from);
      view.setUint32(at + 4, to - 1);
      at += 8;
    }
    view.setUint32(at, this.ports.length);
    at += 4;
    for (const port of this.ports) {
      view.setUint16(at, port);
      at += 2;
    }
    return bytes;
  }

  /** @throws Fault BAD_MESSAGE where the bytes are not a space */
  static fromBytes(bytes: Uint8Array): Space {
    try {
      return readSpace(bytes);
    } catch (cause) {
      if (cause instanceof Fault) throw cause;
      throw new Fault('BAD_MESSAGE', 'the bytes are not a space', {}, cause);
    }
  }
}

/** The name of a space: SHA-256 of its canonical bytes, in hexadecimal. */
export function hashSpace(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function readSpace(bytes: Uint8Array): Space {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert(view.getUint32(0) === MAGIC, 'a space starts with its magic');
  const count = view.getUint32(4);
  const portsAt = 8 + count * 8;
  const portCount = view.getUint32(portsAt);
  assert(bytes.byteLength === portsAt + 4 + portCount * 2, 'a space ends with its last port');
  const from = new Float64Array(count);
  const to = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    from[i] = view.getUint32(8 + i * 8);
    to[i] = view.getUint32(12 + i * 8) + 1;
  }
  const ports = Array.from({ length: portCount }, (_, p) => view.getUint16(portsAt + 4 + p * 2));
  for (let p = 0; p < portCount; p++) {
    assert((ports[p] as number) > (ports[p - 1] ?? 0), 'ports are sorted, from 1');
  }
  return new Space(Ranges.fromSorted(from, to), ports as Port[]);
}
