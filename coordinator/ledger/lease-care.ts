/** What a coordinator does to leases: it forgets those that nobody needs, and disowns the deaf. */
import type { LeaseBook } from '../../shared/bus/ports.js';
import { disowned, lastReport } from '../../shared/survey/lease.js';
import type { Ledger } from './ledger.js';

export class LeaseCare {
  readonly #survey: string;
  readonly #book: LeaseBook;
  readonly #ledger: Ledger;
  /** Revisions below it are of shards below the last frontier that was told. */
  #forgettable = 0;

  constructor(survey: string, book: LeaseBook, ledger: Ledger) {
    this.#survey = survey;
    this.#book = book;
    this.#ledger = ledger;
  }

  /**
   * Forgets the leases of shards below the frontier that agents were told last time, so that a huge
   * survey keeps no more records than a small one. Agents that hear of such a shard once more (brokers
   * repeat old messages) know by the frontier that it is stored.
   * @param told the frontier that agents know
   * @returns the frontier to tell them now; undefined where it is the same
   */
  async forget(told: number): Promise<number | undefined> {
    const { frontier, forgettable } = this.#ledger;
    if (frontier <= told) return undefined;
    if (this.#forgettable > 0) await this.#book.forget(this.#survey, this.#forgettable);
    this.#forgettable = forgettable;
    return frontier;
  }

  /** Takes from an agent what it has not settled; others begin where it began. */
  async disown(agent: string): Promise<void> {
    for (const { shard } of this.#ledger.underWay) {
      const found = await this.#book.read(this.#survey, shard);
      if (found === undefined || found.value.state === 'settled') continue;
      if (lastReport(found.value)?.agent !== agent) continue;
      await this.#book.write(disowned(found.value), found.revision); // else another was faster: as well
    }
  }
}
