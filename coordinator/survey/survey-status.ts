/** How far a survey has come, in numbers, as anyone may ask. */
import type { Plan } from '../../shared/survey/plan.js';
import type { SurveyStatus } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { RosterSummary } from '../governor/roster.js';
import type { Ledger } from '../ledger/ledger.js';

export interface SurveyProgress {
  readonly survey: Survey;
  readonly plan: Plan;
  readonly ledger: Ledger;
  readonly roster: RosterSummary;
  /** Wall clock; 0 where it has not ended. */
  readonly endedAt: number;
  readonly batchesSetAside: number;
  readonly notice: string;
  readonly trouble: string;
}

export function statusOf(progress: SurveyProgress): SurveyStatus {
  const { survey, plan, ledger, roster, endedAt, trouble } = progress;
  const { sent, ...totals } = ledger.totals;
  return {
    survey: survey.id,
    name: survey.name,
    state: survey.state,
    targets: plan.size,
    sent,
    covered: ledger.covered,
    coverage: ledger.covered / plan.size,
    budget: survey.rate,
    ...totals,
    ...roster,
    shards: plan.shardCount,
    stored: ledger.stored,
    rows: ledger.rows,
    startedAt: survey.createdAt,
    endedAt,
    batchesSetAside: progress.batchesSetAside,
    notice: progress.notice,
    trouble,
  };
}
