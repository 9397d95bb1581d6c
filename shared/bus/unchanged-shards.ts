/**
 * The compact form of a heartbeat: an agent holds hundreds of shards, of which few have news. A shard without news
 * travels as two numbers, so a heartbeat costs hardly more with many shards than with few.
 */
import { NO_FINDINGS } from '../survey/icmp-findings.js';
import type { Activity, Heartbeat, ShardReport } from './heartbeat.js';

/** An activity on the wire. */
interface CompactActivity extends Activity {
  /** Shard and epoch of each shard without news, in turn. */
  readonly unchanged: readonly number[];
}

export function compacted(heartbeat: Heartbeat): Heartbeat {
  const activities = heartbeat.activities.map((activity): CompactActivity => {
    const shards: ShardReport[] = [];
    const unchanged: number[] = [];
    for (const report of activity.shards) {
      if (hasNews(report)) shards.push(report);
      else unchanged.push(report.shard, report.epoch);
    }
    return { ...activity, shards, unchanged };
  });
  return { ...heartbeat, activities };
}

/** The reports that a compact activity stands for. @param unchanged pairs */
export function unchangedReports(unchanged: readonly number[]): readonly ShardReport[] {
  const reports: ShardReport[] = [];
  for (let i = 0; i + 1 < unchanged.length; i += 2) {
    const [shard = 0, epoch = 0] = [unchanged[i], unchanged[i + 1]];
    reports.push({ shard, epoch, state: 'held', progress: undefined, ...NO_FINDINGS });
  }
  return reports;
}

function hasNews({ state, progress, icmpLimited, slowedNetworks }: ShardReport): boolean {
  return (
    state !== 'held' || progress !== undefined || icmpLimited.length + slowedNetworks.length > 0
  );
}
