/** The parts of a coordinator that cross-checks need. */
import type { Random } from '../../shared/base/random.js';
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import type {
  CheckEntry,
  DistrustedAgent,
  UnconfirmedShards,
} from '../../shared/survey/cross-check-lines.js';
import type { Lease } from '../../shared/survey/lease.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { ShardRows } from '../storage/shard-rows.js';
import type { CheckLeaseDeps } from './check-lease.js';

export interface CrossChecksOptions {
  readonly survey: string;
  readonly plan: Plan;
  readonly set: ProbeSet;
  /** One of so many shards of an agent is checked, once it has agreed with others often enough; 0: none. */
  readonly interval: number;
  /** The fencing term of the coordinator. */
  readonly term: number;
  /** The survey's, in milliseconds. */
  readonly cooldown: number;
  /** Rows that may wait to be checked. */
  readonly rowsMax: number;
}

export interface CrossChecksDeps extends CheckLeaseDeps {
  readonly random: Random;
  readonly leaseOf: (shard: number) => Lease | undefined;
  readonly rowsOf: (lease: Lease) => ShardRows;
  /** Stores a shard that has waited. */
  readonly store: (lease: Lease) => void;
  readonly onChecked: (check: CheckEntry) => void;
  /** Called when shards are stored although no other agent has confirmed them. */
  readonly onUnconfirmed: (unconfirmed: UnconfirmedShards) => void;
  /** Called if an agent is caught: its unstored shards must be probed again. */
  readonly onCaught: (caught: DistrustedAgent) => void;
}
