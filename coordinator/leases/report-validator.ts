/** Validates the reports of a survey's agents: each must be possible, and covered by what its agent was granted. */
import type { Clock } from '../../shared/base/clock.js';
import type { ShardReport } from '../../shared/bus/heartbeat.js';
import type { EpochRecord } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import { AgentAccounts } from './agent-accounts.js';
import { violationOf } from './report-check.js';

export interface ReportValidatorDeps {
  readonly plan: Plan;
  /** The survey's, in milliseconds. */
  readonly cooldown: number;
  readonly clock: Clock;
}

/** A report about an epoch. */
export interface ReportedEpoch {
  /** The epoch as last reported, and as it is with this report. */
  readonly known: EpochRecord;
  readonly next: EpochRecord;
  readonly report: ShardReport;
  /** When the epoch was opened, by our monotonic clock; undefined if an earlier coordinator opened it. */
  readonly openedAt: number | undefined;
}

export class ReportValidator {
  readonly #deps: ReportValidatorDeps;
  readonly #accounts: AgentAccounts;

  constructor(deps: ReportValidatorDeps) {
    this.#deps = deps;
    this.#accounts = new AgentAccounts(deps.cooldown);
  }

  /** Records that an agent may send at a rate, in packets per second. */
  onGrant(agent: string, rate: number): void {
    this.#accounts.onGrant(agent, rate, this.#deps.clock.monotonic());
  }

  /** The first rule that a report violates; undefined if it is possible. What it claims is on the agent's account. */
  violationOf({ known, next, report, openedAt }: ReportedEpoch): string | undefined {
    const { plan, cooldown, clock } = this.#deps;
    const shard = plan.shard(report.shard);
    const context = { shard, cooldown, openedAt, now: clock.monotonic() };
    if (report.state === 'settled' && next.settledUpTo !== shard.to)
      return 'settled before its end';
    const violation = violationOf(next, known, context);
    if (violation !== undefined || openedAt === undefined) return violation;
    const isGranted = this.#accounts.claim(next.agent, known, next, context.now);
    return isGranted ? undefined : 'more probes than it was granted';
  }
}
