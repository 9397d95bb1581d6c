/** What became of one target, from its place in the order and the reports about its shard. */
import { formatAddress } from '../../shared/net/ipv6.js';
import type { Target } from '../../shared/net/target.js';
import type { EpochRecord } from '../../shared/survey/lease.js';
import { type BlockRules, reasonLeftOut } from '../../shared/survey/policy/block-rules.js';
import { type Exclusions, versionAt } from '../../shared/survey/policy/exclusions.js';
import type { LookupResult } from '../../shared/survey/status.js';
import type { RowPolicy } from '../../shared/survey/survey.js';
import { UNSENT_WORDS, type UnsentName } from '../../shared/survey/unsent.js';

export interface KnownTarget {
  readonly position: number;
  readonly shard: number;
  /** Of the shard's epochs; undefined where nobody has leased it. */
  readonly epochs: readonly EpochRecord[] | undefined;
  readonly isStored: boolean;
  /** Why no probe of it left, as the journal says. */
  readonly unsent: UnsentName | undefined;
  /** The agent's own rule that held it back, where there is one. */
  readonly ownRule: string | undefined;
  /** The classification of its stored row, where it has one. */
  readonly row: string | undefined;
  /** Which classes have rows at all. */
  readonly rows: RowPolicy;
  readonly exclusions: Exclusions;
}

const NOBODY = { agent: '', vantage: '', from: 0, until: 0, outcome: '' };

/** A target that the space does not hold. */
export function unplannedResult(target: Target, rules: BlockRules | undefined): LookupResult {
  const rule = rules === undefined ? 'not among the targets' : reasonLeftOut(target, rules);
  const place = { planned: false, rule, position: 0, shard: 0, state: 'unplanned' as const };
  return { address: formatAddress(target), port: target.port, ...place, ...NOBODY };
}

export function plannedResult(target: Target, known: KnownTarget): LookupResult {
  const { position, shard, epochs, isStored } = known;
  const planned = { planned: true, rule: '', position, shard };
  const base = { address: formatAddress(target), port: target.port, ...planned };
  if (epochs === undefined) return { ...base, state: 'waiting', ...NOBODY };
  // The epoch that owns a position settled it; before that, the last one that came so far sent it.
  const owner = epochs.find(({ from, settledUpTo }) => from <= position && position < settledUpTo);
  const prober =
    owner ?? epochs.findLast(({ from, sentUpTo }) => from <= position && position < sentUpTo);
  if (prober === undefined) return { ...base, state: 'leased', ...NOBODY };
  const { agent, vantage, startedAt, updatedAt } = prober;
  const who = { agent, vantage, from: startedAt, until: updatedAt };
  if (!isStored || owner === undefined) return { ...base, state: 'probed', ...who, outcome: '' };
  if (known.row !== undefined) return { ...base, state: 'stored', ...who, outcome: known.row };
  if (known.unsent === undefined) {
    return { ...base, state: 'stored', ...who, outcome: unseen(known.rows) };
  }
  const rule = reasonUnsent(target, known, versionAt(owner.versionSpans, position));
  return { ...base, rule, state: 'stored', ...who, outcome: known.unsent };
}

function reasonUnsent(target: Target, known: KnownTarget, version: number): string {
  const { unsent, exclusions, ownRule } = known;
  if (unsent === undefined) return '';
  const exclusion = unsent === 'excluded' ? exclusions.rule(target, version) : undefined;
  if (exclusion === undefined) {
    return ownRule === undefined ? UNSENT_WORDS[unsent] : `${UNSENT_WORDS[unsent]}: ${ownRule}`;
  }
  const { version: since, prefix, reason } = exclusion;
  return `excluded by ${prefix}, version ${since} of the exclusions: ${reason}`;
}

function unseen(rows: RowPolicy): string {
  return rows === 'all' ? 'silent' : 'no success';
}
