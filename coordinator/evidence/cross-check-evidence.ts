/** The cross-checks of a survey, from its journal. */
import type { Comparison, CrossCheckLine } from '../../shared/survey/cross-check-lines.js';
import type { CrossCheckSummary } from '../storage/manifest.js';

export class CrossCheckEvidence {
  readonly #comparisons: Comparison[] = [];
  readonly #distrusted = new Map<string, string>();
  #checks = 0;
  #unconfirmed = 0;

  add(line: CrossCheckLine): void {
    if ('distrusted' in line) this.#distrusted.set(line.distrusted.agent, line.distrusted.reason);
    else if ('unconfirmed' in line) this.#unconfirmed += line.unconfirmed.shards;
    else {
      this.#checks++;
      this.#comparisons.push(...line.check.comparisons);
    }
  }

  get result(): CrossCheckSummary {
    let seen = 0;
    let agreed = 0;
    for (const { owner, checker, both, onlyOwner, onlyChecker } of this.#comparisons) {
      if (this.#distrusted.has(owner) || this.#distrusted.has(checker)) continue;
      agreed += both;
      seen += both + onlyOwner + onlyChecker;
    }
    const distrusted = Object.fromEntries(this.#distrusted);
    return { checks: this.#checks, unconfirmed: this.#unconfirmed, seen, agreed, distrusted };
  }
}
