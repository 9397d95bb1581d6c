/** What a coordinator does to leases: it forgets those that nobody needs, and disowns the deaf. */
import { describeError } from '../../shared/base/faults.js';
import type { LeaseBook } from '../../shared/bus/ports.js';
import { disowned, lastReport } from '../../shared/survey/lease.js';
import type { Log } from '../../shared/telemetry/log.js';
import type { Ledger } from './ledger.js';

export interface LeaseCareParts {
  readonly book: LeaseBook;
  readonly ledger: Ledger;
  readonly log: Log;
}

export class LeaseCare {
  readonly #survey: string;
  readonly #parts: LeaseCareParts;
  /** Revisions below it are of shards below the last frontier that was told. */
  #forgettable = 0;

  constructor(survey: string, parts: LeaseCareParts) {
    this.#survey = survey;
    this.#parts = parts;
  }

  /**
   * Forgets the leases of shards below the frontier that agents were told last time, so that a huge
   * survey keeps no more records than a small one. Agents that hear of such a shard once more (brokers
   * repeat old messages) know by the frontier that it is stored.
   * @param told the frontier that agents know
   * @returns the frontier to tell them now; undefined where it is the same
   */
  async forget(told: number): Promise<number | undefined> {
    const { book, ledger } = this.#parts;
    const { frontier, forgettable } = ledger;
    if (frontier <= told) return undefined;
    if (this.#forgettable > 0) await book.forget(this.#survey, this.#forgettable);
    this.#forgettable = forgettable;
    return frontier;
  }

  /** Takes from an agent what it has not settled; others begin where it began. Never rejects. */
  async disown(agent: string): Promise<void> {
    const { book, ledger, log } = this.#parts;
    for (const { shard } of ledger.underWay) {
      try {
        const found = await book.read(this.#survey, shard);
        if (found === undefined || found.value.state === 'settled') continue;
        if (lastReport(found.value)?.agent !== agent) continue;
        await book.write(disowned(found.value), found.revision); // else another was faster: as well
      } catch (error) {
        log.error({ survey: this.#survey, shard, error: describeError(error) }, 'not disowned');
      }
    }
  }
}
