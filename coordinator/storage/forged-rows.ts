/**
 * Looks for rows that no probe of their lease can have caused: a TCP reply must bear a number that follows from the
 * cookie of its probe. Rows of ICMP errors and of other probes contain no such number.
 */
import { Endpoint, type Flow } from '../../shared/net/endpoint.js';
import { CookieMac, probeKey } from '../../shared/probe/cookies.js';
import type { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { ResultBatch } from '../../shared/survey/results.js';
import type { RowSource } from '../sink/row-source.js';
import type { ShardRows } from './shard-rows.js';

/** The key of the epoch in which a batch was made. */
export type KeyOf = (batch: ResultBatch) => Uint8Array;

/** The first batch with such a row; undefined if there is none. */
export function batchWithForgedRow(
  rows: ShardRows,
  plan: Plan,
  set: ProbeSet,
  keyOf: KeyOf,
): ResultBatch | undefined {
  const macs = new Map<string, CookieMac>();
  const source = new Endpoint();
  for (const row of rows.sources(plan, set)) {
    const { batch, target } = row;
    if (!isTcpProbe(set, target.probe)) continue;
    // The class says what the packet must have been.
    if (set.isError(row.code) !== row.isError || row.isTcp === row.isError) return batch;
    if (row.isError) continue;
    const name = `${batch.epoch} ${target.probe}`;
    const mac = macs.get(name) ?? new CookieMac(probeKey(keyOf(batch), target.probe));
    macs.set(name, mac);
    source.setWords(row.source());
    source.port = row.column('sourcePort');
    if (!bearsCookie(row, mac, { source, target })) return batch;
  }
  return undefined;
}

/** True if the probe is a TCP segment of ours. */
function isTcpProbe(set: ProbeSet, probe: number): boolean {
  const asked = set.all[probe]?.probe;
  return asked?.kind === 'packet' && asked.protocol(4) === TCP;
}

/** The protocol number. */
const TCP = 6;
/** SYN and FIN count one each (RFC 9293 §3.4), and TCP probes carry no data. */
const SEGMENT_LENGTH_MAX = 2;

/** RFC 9293 §3.10.7: an answer acknowledges our segment, or starts at our acknowledgment number. */
function bearsCookie(row: RowSource, mac: CookieMac, flow: Flow): boolean {
  mac.compute(flow);
  const acknowledged = (row.column('acknowledgment') - mac.sequence) >>> 0;
  return acknowledged <= SEGMENT_LENGTH_MAX || row.column('sequence') === mac.sequence;
}
