/**
 * Compares the hit rate of each agent with that of all others. Targets are probed in random order, so the hit rates
 * differ by chance only, unless an agent misses replies, makes some up, or probes from a network that filters. People
 * have to find out which; nothing is probed again for this alone.
 */
import type { ReplyRate } from './agent-backoff.js';

/** Standard deviations, two-sided: an honest agent exceeds them with a probability of 2·10^-9. */
const DEVIATIONS_MAX = 6;
/** Below this many expected replies, the normal distribution is no good approximation. */
const EXPECTED_MIN = 40;
/** Smaller relative differences do not matter, however significant they are. */
const DIFFERENCE_MIN = 0.03;

interface Compared {
  readonly agent: string;
  readonly ratio: number;
  readonly deviations: number;
}

/**
 * The agents with an unusual hit rate, each with a sentence. The most unusual one is found first, and the others are
 * then compared without it. Of two agents, neither is known to be the unusual one, so both are found.
 * @param settled positions settled (as `probesSent`) and answered, by agent
 */
export function unusualHitRates(settled: ReadonlyMap<string, ReplyRate>): Map<string, string> {
  const found = new Map<string, string>();
  const others = new Map(settled);
  for (;;) {
    const compared = compare(others).filter(isUnusual);
    const [worst] = compared.sort((a, b) => Math.abs(b.deviations) - Math.abs(a.deviations));
    if (worst === undefined) return found;
    for (const one of others.size === 2 ? compared : [worst]) {
      found.set(one.agent, sentenceOf(one));
      others.delete(one.agent);
    }
  }
}

function compare(settled: ReadonlyMap<string, ReplyRate>): Compared[] {
  let probes = 0;
  let replies = 0;
  for (const each of settled.values()) {
    probes += each.probesSent;
    replies += each.replies;
  }
  const rate = replies / Math.max(1, probes);
  return [...settled].flatMap(([agent, own]) => {
    const [rest, restReplies] = [probes - own.probesSent, replies - own.replies];
    if (Math.min(own.probesSent, rest) * rate < EXPECTED_MIN) return [];
    const restRate = restReplies / rest;
    // The test of two proportions, with the pooled one.
    const deviation = Math.sqrt(rate * (1 - rate) * (1 / own.probesSent + 1 / rest));
    const difference = own.replies / own.probesSent - restRate;
    return {
      agent,
      ratio: own.replies / own.probesSent / restRate,
      deviations: difference / deviation,
    };
  });
}

function isUnusual({ deviations, ratio }: Compared): boolean {
  return Math.abs(deviations) > DEVIATIONS_MAX && Math.abs(ratio - 1) > DIFFERENCE_MIN;
}

function sentenceOf({ ratio }: Compared): string {
  const times = ratio < 1 ? `${(100 * ratio).toPrecision(2)} %` : `${ratio.toPrecision(3)} times`;
  const cause = ratio < 1 ? 'misses replies' : 'makes replies up';
  return `its hit rate is ${times} that of the other agents: it ${cause}, or its network is another one`;
}
