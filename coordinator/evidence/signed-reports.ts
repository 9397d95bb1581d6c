/** The reports that agents have signed, in the entries of a journal. */
import { signerIn } from '../../shared/bus/nats/nkeys.js';
import { textOfReport } from '../../shared/survey/lease.js';
import type { ShardEntry } from '../storage/journal.js';

export interface SignedReportsResult {
  /** Epochs that have settled positions. */
  readonly reports: number;
  /** Those that their agents have signed by the key that the roster has. */
  readonly signed: number;
  /** Those without a signature: their agents died, or have no login. */
  readonly unsigned: number;
  /** Those that are signed by a key that the roster does not have, as after `rekey`. */
  readonly otherKeys: number;
}

export class SignedReports {
  readonly #survey: string;
  readonly #keys: ReadonlyMap<string, string>;
  #reports = 0;
  #signed = 0;
  #unsigned = 0;
  #otherKeys = 0;

  /** @param keys public nkeys of agents, by name */
  constructor(survey: string, keys: ReadonlyMap<string, string>) {
    this.#survey = survey;
    this.#keys = keys;
  }

  /** @returns a violation for each report that is not what its agent has signed */
  add({ shard, epochs }: ShardEntry): string[] {
    const violations: string[] = [];
    for (const epoch of epochs) {
      if (epoch.settledUpTo === epoch.from) continue;
      this.#reports++;
      const { signature, agent } = epoch;
      if (signature === undefined) {
        this.#unsigned++;
        continue;
      }
      const key = signerIn(signature, textOfReport({ ...epoch, survey: this.#survey, shard }));
      if (key === undefined)
        violations.push(`shard ${shard}: epoch ${epoch.epoch} is not what ${agent} has signed`);
      else if (key === this.#keys.get(agent)) this.#signed++;
      else this.#otherKeys++;
    }
    return violations;
  }

  get result(): SignedReportsResult {
    const [reports, signed] = [this.#reports, this.#signed];
    return { reports, signed, unsigned: this.#unsigned, otherKeys: this.#otherKeys };
  }
}
