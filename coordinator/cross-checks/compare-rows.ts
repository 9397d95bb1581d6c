/** Compares the rows of a shard with those of the agent that has probed it again. */
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Comparison } from '../../shared/survey/cross-check-lines.js';
import type { EpochRecord } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { ShardRows } from '../storage/shard-rows.js';

export interface Compared {
  readonly plan: Plan;
  readonly set: ProbeSet;
  readonly shard: number;
  /** The epochs of the shard, and its rows. */
  readonly epochs: readonly Pick<EpochRecord, 'agent' | 'from' | 'settledUpTo'>[];
  readonly rows: ShardRows;
  readonly checker: string;
  readonly checked: ShardRows;
}

/**
 * One comparison for each agent that has settled positions of the shard. Only answers of the targets themselves count:
 * errors come from routers, which limit their rate. Positions that one of both has not probed are left out.
 */
function compareRows({ plan, set, shard, epochs, rows, checker, checked }: Compared): Comparison[] {
  const { from: start } = plan.shard(shard);
  const first = answersOf(rows, plan, set);
  const second = answersOf(checked, plan, set);
  const comparisons = new Map<string, { both: number; onlyOwner: number; onlyChecker: number }>();
  for (const { agent, from, settledUpTo } of epochs) {
    if (settledUpTo === from) continue;
    const counts = comparisons.get(agent) ?? { both: 0, onlyOwner: 0, onlyChecker: 0 };
    comparisons.set(agent, counts);
    for (let position = from; position < settledUpTo; position++) {
      const at = position - start;
      if (rows.unsent[at] !== 0 || checked.unsent[at] !== 0) continue;
      const [theirs, ours] = [first.get(position), second.get(position)];
      if (theirs === ours) counts.both += theirs === undefined ? 0 : 1;
      else {
        if (theirs !== undefined) counts.onlyOwner++;
        if (ours !== undefined) counts.onlyChecker++;
      }
    }
  }
  return [...comparisons].map(([owner, counts]) => ({ owner, checker, ...counts }));
}

/** The comparisons of a check with the shard's own rows, and with those of the agents that have checked it before. */
export function compareOpinions(
  compared: Compared,
  earlier: readonly { readonly agent: string; readonly rows: ShardRows }[],
): Comparison[] {
  const { from, to } = compared.plan.shard(compared.shard);
  const others = earlier.flatMap(({ agent, rows }) => {
    return compareRows({ ...compared, epochs: [{ agent, from, settledUpTo: to }], rows });
  });
  return [...compareRows(compared), ...others];
}

/** The codes of the answers of targets, by position. */
function answersOf(rows: ShardRows, plan: Plan, set: ProbeSet): Map<number, number> {
  const answers = new Map<number, number>();
  for (const { position, code, isError, isSuccess } of rows.sources(plan, set))
    if (isSuccess || !isError) answers.set(position, code);
  return answers;
}
