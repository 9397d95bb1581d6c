/**
 * Finds agents that receive no replies. Targets are probed in random order, so all agents have the same hit
 * rate except for chance and for what their networks filter. If an agent should have dozens of replies by the
 * hit rate of its peers, and has next to none, its targets cannot be taken as silent, whatever the cause: the
 * agent is put into quarantine.
 */
import { type ReplyRate, WINDOW_MILLIS } from './agent-backoff.js';

/** With 40 replies expected, fewer than a tenth of them arrive by chance with a probability below 10^-11. */
const EXPECTED_MIN = 40;
const REPLIES_SHARE_MIN = 0.1;

/**
 * The agents without replies, each with the reason in one sentence. Agents with too few expected replies
 * are not among them.
 * @param reported probes and replies in the last ten seconds, as reported in heartbeats, by agent
 * @param settled positions settled and answered, by agent, from leases: hit rates come from these, so that an
 *   agent that inflates its heartbeats cannot put others into quarantine
 */
export function agentsWithoutReplies(
  reported: ReadonlyMap<string, ReplyRate>,
  settled: ReadonlyMap<string, ReplyRate>,
): Map<string, string> {
  const known = [...settled].filter(([, { replies }]) => replies >= EXPECTED_MIN);
  known.sort(([, a], [, b]) => hitRate(a) - hitRate(b));
  const ranks = new Map(known.map(([agent], rank) => [agent, rank]));
  const found = new Map<string, string>();
  for (const [agent, own] of reported) {
    // The median of the agent's peers, so that no single agent with false reports decides.
    const rank = ranks.get(agent) ?? known.length;
    const peers = known.length - (ranks.has(agent) ? 1 : 0);
    const middle = Math.floor((peers - 1) / 2);
    const median = known[middle < rank ? middle : middle + 1];
    const reason = median && reasonOf(own, hitRate(median[1]));
    if (reason !== undefined) found.set(agent, reason);
  }
  return found;
}

function hitRate({ probesSent, replies }: ReplyRate): number {
  return replies / Math.max(1, probesSent);
}

function reasonOf(own: ReplyRate, expectedRate: number): string | undefined {
  const expected = own.probesSent * expectedRate;
  if (expected < EXPECTED_MIN || own.replies >= REPLIES_SHARE_MIN * expected) return undefined;
  const percent = (100 * expectedRate).toPrecision(2);
  return (
    `receives no replies: ${own.replies} for ${own.probesSent} probes in ${WINDOW_MILLIS / 1000} s, ` +
    `while its peers receive ${percent} %; other agents probe its unfinished shards again`
  );
}
