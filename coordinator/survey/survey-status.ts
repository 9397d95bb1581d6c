/** How far a survey has come, in numbers, as anyone may ask. */
import type { Plan } from '../../shared/survey/plan.js';
import type { SurveyStatus } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { ActivityTotals } from '../agents/activity-summary.js';
import type { ShardTracker } from '../storage/shard-tracker.js';

export interface SurveyProgress {
  readonly survey: Survey;
  readonly plan: Plan;
  readonly tracker: ShardTracker;
  readonly activities: ActivityTotals;
  /** Wall clock; 0 where it has not ended. */
  readonly endedAt: number;
  readonly batchesSetAside: number;
  readonly notice: string;
  readonly problem: string;
}

export function statusOf(progress: SurveyProgress): SurveyStatus {
  const { survey, plan, tracker, activities, endedAt, problem } = progress;
  const { probesSent, ...totals } = tracker.totals;
  return {
    survey: survey.id,
    name: survey.name,
    state: survey.state,
    targets: plan.size,
    probesSent,
    targetsCovered: tracker.targetsCovered,
    coverage: tracker.targetsCovered / plan.size,
    budget: survey.rate,
    ...totals,
    ...activities,
    shards: plan.shardCount,
    shardsStored: tracker.shardsStored,
    rowsStored: tracker.rowsStored,
    startedAt: survey.createdAt,
    endedAt,
    batchesSetAside: progress.batchesSetAside,
    notice: progress.notice,
    problem,
  };
}
