/**
 * Send filter: the last check before a probe is sent. No probe is sent to an address that may not be probed,
 * whatever the plan contains, and the reason is recorded. The space was composed without such addresses; this
 * is a second, independent check, which also enforces later exclusions and the agent's own blocklist.
 */
import type { Words } from '../../shared/net/endpoint.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import type { Family } from '../../shared/probe/probe.js';
import type { ProbeBatch } from '../../shared/probe/probe-batch.js';
import type { AddressLists } from '../../shared/survey/policy/address-lists.js';
import { UNSENT } from '../../shared/survey/unsent.js';

const FREE = 0;
const BLOCKED = 1;
const MIXED = 2;
const BLOCK_SIZE = 65536;

/** The blocked addresses, as plain data. */
export interface SendFilterLists {
  /** The version of the exclusions. */
  readonly version: number;
  /** Addresses excluded by exclusions in force. */
  readonly excluded: AddressLists;
  /** Addresses blocked by this agent itself, whatever the exclusions. */
  readonly own: AddressLists;
}

/** Called with the blocked row, and its `UNSENT` code. */
export type OnHeldBack = (row: number, code: number) => void;

export class SendFilter {
  /** The version of the exclusions that this filter enforces. */
  readonly version: number;
  readonly #ipv4: Ranges;
  readonly #ipv6: Ranges6;
  readonly #excluded4: Ranges;
  readonly #excluded6: Ranges6;
  /** One octet per IPv4 /16, and per IPv6 /16: no address blocked, all blocked, or some blocked. */
  readonly #table = new Uint8Array(65536);
  readonly #table6 = new Uint8Array(65536);

  constructor({ version, excluded, own }: SendFilterLists) {
    this.version = version;
    this.#excluded4 = rangesOf(excluded);
    this.#excluded6 = Ranges6.fromWords(excluded.ipv6);
    this.#ipv4 = this.#excluded4.union(rangesOf(own));
    this.#ipv6 = this.#excluded6.union(Ranges6.fromWords(own.ipv6));
    for (let i = 0; i < this.#ipv6.count; i++) {
      this.#mark6(this.#ipv6.firstOf(i), this.#ipv6.lastOf(i));
    }
    for (const range of this.#ipv4) {
      const last = Math.ceil(range.to / BLOCK_SIZE);
      for (let block = Math.floor(range.from / BLOCK_SIZE); block < last; block++) {
        const coversAll = range.from <= block * BLOCK_SIZE && (block + 1) * BLOCK_SIZE <= range.to;
        this.#table[block] = coversAll ? BLOCKED : MIXED;
      }
    }
  }

  /** Marks the IPv6 /16 networks of a range: blocked, and mixed where the range starts or ends within one. */
  #mark6(first: Words, last: Words): void {
    const [from, to] = [first[0] >>> 16, last[0] >>> 16];
    this.#table6.fill(BLOCKED, from, to + 1);
    if (first.some((word, i) => (i === 0 ? word & 0xffff : word) !== 0)) this.#table6[from] = MIXED;
    if (last.some((word, i) => (i === 0 ? word | 0xffff0000 : word) >>> 0 !== 0xffffffff)) {
      this.#table6[to] = MIXED;
    }
  }

  /** Removes blocked targets from a batch. */
  filter(batch: ProbeBatch, family: Family, onHeldBack: OnHeldBack): void {
    const { count } = batch;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const isRefused =
        family === 4 ? this.#refuses4(batch.w3[i] as number) : this.#refuses6(batch, i);
      if (isRefused) {
        onHeldBack(i, this.#codeOf(batch, i, family));
        continue;
      }
      if (kept < i) batch.move(i, kept);
      kept++;
    }
    batch.count = kept;
  }

  /** The `UNSENT` code of one target, or 0 if it may be probed. */
  codeFor(batch: ProbeBatch, row: number, family: Family): number {
    const isRefused =
      family === 4 ? this.#refuses4(batch.w3[row] as number) : this.#refuses6(batch, row);
    return isRefused ? this.#codeOf(batch, row, family) : 0;
  }

  #codeOf({ w0, w1, w2, w3 }: ProbeBatch, i: number, family: Family): number {
    const isExcluded =
      family === 4
        ? this.#excluded4.contains(w3[i] as number)
        : this.#excluded6.contains(
            w0[i] as number,
            w1[i] as number,
            w2[i] as number,
            w3[i] as number,
          );
    return isExcluded ? UNSENT.EXCLUDED : UNSENT.BLOCKED;
  }

  #refuses4(address: number): boolean {
    const block = this.#table[address >>> 16];
    return block !== FREE && (block === BLOCKED || this.#ipv4.contains(address));
  }

  #refuses6({ w0, w1, w2, w3 }: ProbeBatch, i: number): boolean {
    const block = this.#table6[(w0[i] as number) >>> 16];
    if (block !== MIXED) return block === BLOCKED;
    return this.#ipv6.contains(w0[i] as number, w1[i] as number, w2[i] as number, w3[i] as number);
  }
}

function rangesOf({ ipv4 }: AddressLists): Ranges {
  return Ranges.fromSorted(ipv4.from, ipv4.to);
}
