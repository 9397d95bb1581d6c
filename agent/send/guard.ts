/**
 * The last look before the wire: an address that may not be probed does not leave, whatever the plan
 * says. The space was built without these addresses; this is the other half of that assertion, and
 * where an agent's own blocklist holds.
 */
import type { Ranges } from '../../shared/net/ranges.js';

const FREE = 0;
const BLOCKED = 1;
const MIXED = 2;
const BLOCK_SIZE = 65536;

export class Guard {
  readonly #blocked: Ranges;
  /** One octet per /16: all free, all blocked, or look it up. */
  readonly #table = new Uint8Array(65536);

  constructor(blocked: Ranges) {
    this.#blocked = blocked;
    for (const { from, to } of blocked) {
      const last = Math.ceil(to / BLOCK_SIZE);
      for (let block = Math.floor(from / BLOCK_SIZE); block < last; block++) {
        const isWhole = from <= block * BLOCK_SIZE && (block + 1) * BLOCK_SIZE <= to;
        this.#table[block] = isWhole ? BLOCKED : MIXED;
      }
    }
  }

  /** @param address IPv4, host order */
  refuses(address: number): boolean {
    const block = this.#table[address >>> 16];
    return block !== FREE && (block === BLOCKED || this.#blocked.contains(address));
  }
}
