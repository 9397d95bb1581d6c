/**
 * The last look before the wire: an address that may not be probed does not leave, whatever the plan
 * says. The space was built without these addresses; this is the other half of that assertion, and
 * where an agent's own blocklist holds.
 */
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import type { Family } from '../../shared/probe/probe.js';
import type { Volley } from '../../shared/probe/volley.js';

const FREE = 0;
const BLOCKED = 1;
const MIXED = 2;
const BLOCK_SIZE = 65536;

/** What is blocked, as plain data that can be sent to a thread. */
export interface Blocked {
  /** Of the exclusions that are among it. */
  readonly version: number;
  /** Arrays of `Ranges` and of `Ranges6`. */
  readonly ipv4: { readonly from: Float64Array; readonly to: Float64Array };
  readonly ipv6: Uint32Array;
}

export class Guard {
  /** Of the exclusions that it knows. */
  readonly version: number;
  readonly #ipv4: Ranges;
  readonly #ipv6: Ranges6;
  /** One octet per /16: all free, all blocked, or look it up. */
  readonly #table = new Uint8Array(65536);

  static of(ipv4: Ranges, ipv6: Ranges6, version = 0): Guard {
    return new Guard({ version, ipv4: { from: ipv4.from, to: ipv4.to }, ipv6: ipv6.words });
  }

  constructor({ version, ipv4: { from, to }, ipv6 }: Blocked) {
    this.version = version;
    this.#ipv4 = Ranges.fromSorted(from, to);
    this.#ipv6 = Ranges6.fromWords(ipv6);
    for (const range of this.#ipv4) {
      const last = Math.ceil(range.to / BLOCK_SIZE);
      for (let block = Math.floor(range.from / BLOCK_SIZE); block < last; block++) {
        const isWhole = range.from <= block * BLOCK_SIZE && (block + 1) * BLOCK_SIZE <= range.to;
        this.#table[block] = isWhole ? BLOCKED : MIXED;
      }
    }
  }

  /** Takes out of a volley what may not be probed; returns how many that were. */
  sift(volley: Volley, family: Family): number {
    const { count } = volley;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const isRefused =
        family === 4 ? this.#refuses4(volley.w3[i] as number) : this.#refuses6(volley, i);
      if (isRefused) continue;
      if (kept < i) volley.move(i, kept);
      kept++;
    }
    volley.count = kept;
    return count - kept;
  }

  #refuses4(address: number): boolean {
    const block = this.#table[address >>> 16];
    return block !== FREE && (block === BLOCKED || this.#ipv4.contains(address));
  }

  #refuses6({ w0, w1, w2, w3 }: Volley, i: number): boolean {
    return this.#ipv6.contains(w0[i] as number, w1[i] as number, w2[i] as number, w3[i] as number);
  }
}
