/** Builds the status of a survey from its table and its agents' activity. */
import { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { SurveyStatus } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { ActivityTotals } from '../agents/activity-summary.js';
import type { ShardTable } from '../storage/shard-table.js';

export interface SurveyProgress {
  readonly survey: Survey;
  readonly plan: Plan;
  readonly table: ShardTable;
  readonly activity: ActivityTotals;
  /** Wall clock; 0 while it runs. */
  readonly endedAt: number;
  readonly batchesSetAside: number;
  readonly notice: string;
  readonly problem: string;
}

export function statusOf(progress: SurveyProgress): SurveyStatus {
  const { survey, plan, table, activity, endedAt, problem } = progress;
  const { probesSent, replies: replied, ...unsent } = table.totals;
  const { replyNames, all } = new ProbeSet(survey.probes);
  return {
    survey: survey.id,
    name: survey.name,
    state: survey.state,
    endReason: survey.endReason,
    targets: plan.size,
    probesSent,
    targetsCovered: table.targetsCovered,
    coverage: table.targetsCovered / plan.size,
    budget: survey.rate,
    ...unsent,
    ...table.findings.summary,
    replied: Object.fromEntries(replyNames.map((name) => [name, replied[name] ?? 0])),
    probesPerTarget: survey.probesPerTarget,
    probes: [...new Set(all.map(({ probe }) => probe.name))],
    ...activity,
    shards: plan.shardCount,
    shardsStored: table.shardsStored,
    rowsStored: table.rowsStored,
    startedAt: survey.createdAt,
    endedAt,
    batchesSetAside: progress.batchesSetAside,
    notice: progress.notice,
    problem,
  };
}
