/**
 * The reports of one held shard: a claim about its progress is reported until it is answered, and findings from ICMP
 * errors are reported once. Only the latest claim counts, because claims never decrease.
 */
import type { NewLease, ShardReport } from '../../shared/bus/heartbeat.js';
import { type IcmpFindings, NO_FINDINGS } from '../../shared/survey/icmp-findings.js';
import type { LeaseState, Progress } from '../../shared/survey/lease.js';

interface Claim {
  readonly state: LeaseState;
  readonly progress: Progress;
}

/** Findings of each kind in one report: further ones follow in the next. */
const FINDINGS_PER_REPORT = 64;

export class ShardReports {
  readonly #shard: number;
  readonly #epoch: number;
  /** The latest claim whose rows are published; undefined before the first. */
  #claim: Claim | undefined;
  /** The latest claim that the coordinator has. */
  #answered: Claim | undefined;
  /** Findings that no report has been answered for. */
  #findings: IcmpFindings = NO_FINDINGS;

  constructor(shard: number, { epoch }: Pick<NewLease, 'epoch'>) {
    this.#shard = shard;
    this.#epoch = epoch;
  }

  /** True once the last report is ready. */
  get hasEnded(): boolean {
    return this.#claim !== undefined && this.#claim.state !== 'held';
  }

  /** Findings of each kind that may be added now. */
  get room(): number {
    const { icmpLimited, slowedNetworks } = this.#findings;
    return FINDINGS_PER_REPORT - Math.max(icmpLimited.length, slowedNetworks.length);
  }

  addFindings({ icmpLimited, slowedNetworks }: IcmpFindings): void {
    this.#findings = {
      icmpLimited: [...this.#findings.icmpLimited, ...icmpLimited],
      slowedNetworks: [...this.#findings.slowedNetworks, ...slowedNetworks],
    };
  }

  /** Replaces the claim, if the new one says more. */
  claim(state: LeaseState, progress: Progress): void {
    const known = this.#claim?.progress;
    const hasMoved =
      progress.sentUpTo !== known?.sentUpTo ||
      progress.settledUpTo !== known.settledUpTo ||
      progress.probesSent !== known.probesSent;
    if (hasMoved || state !== 'held') this.#claim = { state, progress };
  }

  /** The report for the next heartbeat. */
  next(): ShardReport {
    const { state = 'held', progress } = this.#claim ?? {};
    const news = this.#claim === this.#answered ? undefined : progress;
    const first = (texts: readonly string[]) => texts.slice(0, FINDINGS_PER_REPORT);
    return {
      ...{ shard: this.#shard, epoch: this.#epoch, state, progress: news },
      icmpLimited: first(this.#findings.icmpLimited),
      slowedNetworks: first(this.#findings.slowedNetworks),
    };
  }

  /** Called once the coordinator has answered a report. @returns true if it was the last one */
  onAnswered({ state, progress, icmpLimited, slowedNetworks }: ShardReport): boolean {
    if (progress !== undefined && progress === this.#claim?.progress) this.#answered = this.#claim;
    this.#findings = {
      icmpLimited: this.#findings.icmpLimited.slice(icmpLimited.length),
      slowedNetworks: this.#findings.slowedNetworks.slice(slowedNetworks.length),
    };
    return state !== 'held';
  }
}
