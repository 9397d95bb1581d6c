/**
 * The last look before the wire: an address that may not be probed does not leave, whatever the plan
 * says, and it is known why. The space was built without these addresses; this is the other half of that
 * assertion, and where exclusions that came later and an agent's own blocklist hold.
 */
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

/** What is blocked, as plain data. */
export interface SendFilterLists {
  /** Of the exclusions that are among it. */
  readonly version: number;
  /** By exclusions in force. */
  readonly excluded: AddressLists;
  /** By this agent itself, whatever the exclusions. */
  readonly own: AddressLists;
}

/** Called with the row that is held back, and an `UNSENT` code. */
export type OnHeldBack = (row: number, code: number) => void;

export class SendFilter {
  /** Of the exclusions that it knows. */
  readonly version: number;
  readonly #ipv4: Ranges;
  readonly #ipv6: Ranges6;
  readonly #excluded4: Ranges;
  readonly #excluded6: Ranges6;
  /** One octet per /16: all free, all blocked, or look it up. */
  readonly #table = new Uint8Array(65536);

  constructor({ version, excluded, own }: SendFilterLists) {
    this.version = version;
    this.#excluded4 = rangesOf(excluded);
    this.#excluded6 = Ranges6.fromWords(excluded.ipv6);
    this.#ipv4 = Ranges.of([...this.#excluded4, ...rangesOf(own)]);
    this.#ipv6 = this.#excluded6.union(Ranges6.fromWords(own.ipv6));
    for (const range of this.#ipv4) {
      const last = Math.ceil(range.to / BLOCK_SIZE);
      for (let block = Math.floor(range.from / BLOCK_SIZE); block < last; block++) {
        const coversAll = range.from <= block * BLOCK_SIZE && (block + 1) * BLOCK_SIZE <= range.to;
        this.#table[block] = coversAll ? BLOCKED : MIXED;
      }
    }
  }

  /** Takes out of a volley what may not be probed. */
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

  /** Why one address may not be probed: an `UNSENT` code, or 0 where it may. */
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
    return this.#ipv6.contains(w0[i] as number, w1[i] as number, w2[i] as number, w3[i] as number);
  }
}

function rangesOf({ ipv4 }: AddressLists): Ranges {
  return Ranges.fromSorted(ipv4.from, ipv4.to);
}
