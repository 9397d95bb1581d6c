/**
 * Finds agents whose answers differ from those of all others. Two honest agents that probe the same targets disagree
 * about some: packets are lost, hosts come and go, networks block one of them. An agent that leaves answers out, or
 * makes some up, disagrees with everybody, and more than the others do among themselves (test of two proportions).
 */
import type { Comparison } from '../../shared/survey/cross-check-lines.js';

/** Standard deviations above which an agent is caught, and above which it is suspected. */
const CAUGHT_DEVIATIONS = 6;
const SUSPECTED_DEVIATIONS = 3;
/** Smaller differences do not matter, however significant they are: networks and hosts are not all equally good. */
const DIFFERENCE_MIN = 0.06;
/** An agent is caught only if it disagrees with so many others: of two, nobody knows which one is honest. */
const PARTNERS_MIN = 2;
/**
 * Disagreement that is expected before honest agents have been compared, in positions: Wan et al., "On the Origin of
 * Scanning" (IMC 2020), found that single probes miss 2 to 6 % of the hosts that answer.
 */
const PRIOR = { disagreed: 3, seen: 100 } as const;

/** Answered positions, and those of them about which another agent disagrees. */
interface Share {
  disagreed: number;
  seen: number;
}

/** Two agents that have probed the same targets. */
interface Pair {
  readonly agents: readonly [string, string];
  both: number;
  /** Answered to one of them only, in the order of `agents`. */
  readonly only: [number, number];
}

interface Unusual {
  readonly agent: string;
  readonly deviations: number;
  readonly reason: string;
  /** True if it disagrees with most others, and with at least two. */
  readonly isSure: boolean;
}

export class Disagreements {
  readonly #pairs = new Map<string, Pair>();
  /** By agent, the reason. */
  readonly #caught = new Map<string, string>();

  /** @returns the agents that are caught now */
  add(comparisons: readonly Comparison[]): readonly string[] {
    for (const comparison of comparisons) this.#count(comparison);
    const found: string[] = [];
    for (;;) {
      const [worst] = this.#unusual().filter(({ isSure }) => isSure);
      if (worst === undefined || worst.deviations < CAUGHT_DEVIATIONS) return found;
      this.restore(worst.agent, worst.reason);
      found.push(worst.agent);
    }
  }

  /** Records that an agent was caught. */
  restore(agent: string, reason: string): void {
    this.#caught.set(agent, reason);
    for (const [name, { agents }] of this.#pairs)
      if (agents.includes(agent)) this.#pairs.delete(name);
  }

  /** By agent, the reason. */
  get caught(): ReadonlyMap<string, string> {
    return this.#caught;
  }

  /** A sentence about an agent that was caught; empty if it was not. */
  reasonOf(agent: string): string {
    return this.#caught.get(agent) ?? '';
  }

  /** True if an agent disagrees with others more than chance explains, though not enough to be caught. */
  isSuspected(agent: string): boolean {
    const worst = this.#unusual().find((each) => each.agent === agent);
    return worst !== undefined && worst.deviations >= SUSPECTED_DEVIATIONS;
  }

  /** Answered positions about which both agents of a pair agree, and all; without agents that were caught. */
  get agreement(): { readonly agreed: number; readonly seen: number } {
    let agreed = 0;
    let seen = 0;
    for (const { both, only } of this.#pairs.values()) {
      agreed += both;
      seen += both + only[0] + only[1];
    }
    return { agreed, seen };
  }

  #count({ owner, checker, both, onlyOwner, onlyChecker }: Comparison): void {
    if (this.#caught.has(owner) || this.#caught.has(checker)) return;
    const isOrdered = owner < checker;
    const agents = isOrdered ? ([owner, checker] as const) : ([checker, owner] as const);
    const name = agents.join(' ');
    const pair = this.#pairs.get(name) ?? { agents, both: 0, only: [0, 0] };
    this.#pairs.set(name, pair);
    pair.both += both;
    pair.only[0] += isOrdered ? onlyOwner : onlyChecker;
    pair.only[1] += isOrdered ? onlyChecker : onlyOwner;
  }

  /** All agents, those first that differ most from the others. */
  #unusual(): Unusual[] {
    const all: Share = { disagreed: 0, seen: 0 };
    const pairsOf = new Map<string, Pair[]>();
    for (const pair of this.#pairs.values()) {
      addTo(all, disagreementOf(pair));
      for (const agent of pair.agents) pairsOf.set(agent, [...(pairsOf.get(agent) ?? []), pair]);
    }
    const found = [...pairsOf].flatMap(([agent, pairs]) => unusualOf(agent, pairs, all));
    return found.sort((a, b) => b.deviations - a.deviations);
  }
}

/**
 * The ways in which an agent may differ from the others: it misses answers, or has some that nobody else gets.
 * @param all the disagreements of all pairs
 */
function unusualOf(agent: string, pairs: readonly Pair[], all: Share): Unusual[] {
  const others: Share = { ...PRIOR };
  addTo(others, all);
  const missed: Share[] = [];
  const invented: Share[] = [];
  for (const pair of pairs) {
    const { disagreed, seen } = disagreementOf(pair);
    addTo(others, { disagreed: -disagreed, seen: -seen });
    const { agents, both, only } = pair;
    const [mine, theirs] = agents[0] === agent ? only : [only[1], only[0]];
    missed.push({ disagreed: theirs, seen: both + theirs });
    invented.push({ disagreed: mine, seen: both + mine });
  }
  const found = (shares: readonly Share[], sentence: (share: string) => string): Unusual => {
    const sum: Share = { disagreed: 0, seen: 0 };
    for (const share of shares) addTo(sum, share);
    const disagreeing = shares.filter((each) => deviationsOf(each, others) >= SUSPECTED_DEVIATIONS);
    const isSure = disagreeing.length >= PARTNERS_MIN && 2 * disagreeing.length > shares.length;
    const percent = `${((100 * sum.disagreed) / Math.max(1, sum.seen)).toPrecision(2)} %`;
    const deviations = deviationsOf(sum, others);
    return { agent, deviations, isSure, reason: sentence(percent) };
  };
  return [
    found(missed, (share) => `cross-checks: it misses ${share} of the answers that others get`),
    found(invented, (share) => `cross-checks: nobody else gets ${share} of its answers`),
  ];
}

/** Each answer that both got is seen by two. */
function disagreementOf({ both, only: [first, second] }: Pair): Share {
  return { disagreed: first + second, seen: 2 * both + first + second };
}

function addTo(sum: Share, { disagreed, seen }: Share): void {
  sum.disagreed += disagreed;
  sum.seen += seen;
}

/** By how many standard deviations a share is above that of the others; 0 if the difference does not matter. */
function deviationsOf(own: Share, others: Share): number {
  if (own.seen === 0) return 0;
  const difference = own.disagreed / own.seen - others.disagreed / others.seen;
  if (difference < DIFFERENCE_MIN) return 0;
  const pooled = (own.disagreed + others.disagreed) / (own.seen + others.seen);
  return difference / Math.sqrt(pooled * (1 - pooled) * (1 / own.seen + 1 / others.seen));
}
