/** An admitted survey: everything that agents need in order to probe, and sinks in order to write. */
import type { Millis, Pps } from '../base/brand.js';
import { Fault } from '../base/faults.js';
import type { ProbeChoice } from '../probe/probe-set.js';
import type { EndReason, SurveyLimits } from './survey-limits.js';

/** Which replies become rows: successes, or all. */
export type RowPolicy = 'successes' | 'all';

export type SurveyState = 'running' | 'paused' | 'draining' | 'done' | 'cancelled';

export interface Survey {
  readonly id: string;
  readonly name: string;
  readonly state: SurveyState;
  /** Targets name them by index. */
  readonly probes: readonly ProbeChoice[];
  /** A target that stays silent is probed up to this many times. */
  readonly probesPerTarget: number;
  /** Lengths of the IPv6 prefixes whose aliases are detected; empty if none are. */
  readonly aliasLengths: readonly number[];
  /** One of so many shards of an agent is probed again by another one, and the answers are compared; 0: none. */
  readonly crossCheckInterval: number;
  readonly limits: SurveyLimits;
  /** All agents together. */
  readonly rate: Pps;
  /** The time after a probe in which replies are accepted. */
  readonly cooldown: Millis;
  readonly seed: string;
  readonly rows: RowPolicy;
  /** Name of the sink that writes its segments. */
  readonly segmentFormat: string;
  readonly contact: string;
  readonly purpose: string;
  /** Prefixes of special-purpose ranges that may be probed. */
  readonly allowSpecial: readonly string[];
  /** The text of the operator's authorization, and its SSH signature; empty if it has none. */
  readonly authorization: string;
  readonly signature: string;
  readonly spaceHash: string;
  /** Hash of its block rules. */
  readonly rulesHash: string;
  readonly shardLength: number;
  readonly planHash: string;
  /** Wall clock. */
  readonly createdAt: number;
  /** Version of the message protocol of its coordinator. */
  readonly protocol: number;
  /** The fencing term of the coordinator that wrote this record. */
  readonly term: number;
  /**
   * The first epoch whose leases and batches count. Those of earlier epochs do not, because the broker has
   * lost the survey since then.
   */
  readonly firstEpoch: number;
  /** The limit that ended it. */
  readonly endReason: EndReason;
}

/** Survey ids are names of folders and parts of subjects. */
export function isSurveyId(text: string): boolean {
  return /^[a-z0-9]{1,32}$/.test(text);
}

/** A request, from which the coordinator makes a `Survey`. */
export type SurveyRequest = Omit<
  Survey,
  | 'id'
  | 'state'
  | 'planHash'
  | 'createdAt'
  | 'shardLength'
  | 'protocol'
  | 'term'
  | 'firstEpoch'
  | 'endReason'
>;

/** True if the survey offers no more work, ever. */
export function isEnding(state: SurveyState): boolean {
  return state !== 'running' && state !== 'paused';
}

/** True if nothing more of the survey will be stored. */
export function isOver(state: SurveyState): boolean {
  return state === 'done' || state === 'cancelled';
}

/** @throws Fault WRONG_STATE if the survey is ending or over */
export function refuseIfEnding({ state, id }: Survey, what: string): void {
  if (!isEnding(state)) return;
  throw new Fault(
    'WRONG_STATE',
    state === what
      ? `the survey is already ${state}`
      : `a survey that is ${state} cannot be ${what}`,
    { value: id },
  );
}
