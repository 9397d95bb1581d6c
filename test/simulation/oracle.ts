/**
 * The oracle: the invariants of a simulated survey, whatever faults were injected. Each violation is reported
 * in a sentence.
 */

import { join } from 'node:path';
import { verify } from '../../coordinator/evidence/verification.js';
import { FIELDS } from '../../coordinator/sink/fields.js';
import { readJournal } from '../../coordinator/storage/journal.js';
import { SegmentStore } from '../../coordinator/storage/segments.js';
import { formatIpv4 } from '../../shared/net/address.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { RowPolicy, Survey } from '../../shared/survey/survey.js';
import { CODE, TCP_SYN_SET } from '../support/tcp-syn-set.js';
import { DATA, type World } from './world.js';

/** Rows as `address,port,classification`, sorted. */
export async function rowsOf(world: World, { id, segmentFormat }: Survey): Promise<string[]> {
  const wanted = ['saddr', 'sport', 'classification'].map((name) =>
    FIELDS.findIndex((field) => field.name === name),
  );
  const store = new SegmentStore(join(DATA, id), segmentFormat, world.disk);
  const rows: string[] = [];
  for (const segment of await store.list()) {
    for await (const row of store.read(segment)) rows.push(wanted.map((i) => row[i]).join(','));
  }
  return rows.sort();
}

/** The expected rows of the positions for which `isIn` holds. */
export function expectedRows(
  world: World,
  plan: Plan,
  report: RowPolicy,
  isIn: (position: number, address: number) => boolean = () => true,
): string[] {
  const rows: string[] = [];
  for (let position = 0; position < plan.size; position++) {
    const { w3: address, port } = plan.targetAt(position);
    const code = world.internet.truth(address, port);
    const isReported = report === 'all' ? code !== CODE.SILENT : code === CODE.SYNACK;
    if (isReported && isIn(position, address)) {
      rows.push(`${formatIpv4(address)},${port},${TCP_SYN_SET.classNames[code]}`);
    }
  }
  return rows.sort();
}

/** A budget, and the virtual time in milliseconds from which it held. */
export interface Budget {
  readonly from: number;
  readonly rate: number;
}

/** Grants may be used for this long after a change of the rate: their TTL, plus a step of the clock. */
const GRANT_MILLIS = 3050;

/** Probes beyond the budget in the worst second; 0 if it was kept. */
export function excess(world: World, budgets: readonly Budget[]): number {
  const times = world.internet.shots.map(({ at }) => at);
  let first = 0;
  let worst = 0;
  for (let last = 0; last < times.length; last++) {
    const now = times[last] as number;
    while ((times[first] as number) <= now - 1000) first++;
    const allowed = Math.max(
      ...budgets
        .filter(({ from }, i) => {
          const until = budgets[i + 1]?.from ?? Number.POSITIVE_INFINITY;
          return from <= now && until + GRANT_MILLIS > now - 1000;
        })
        .map(({ rate }) => rate),
      0,
    );
    worst = Math.max(worst, last - first + 1 - (Math.ceil(allowed * 1.02) + 1));
  }
  return worst;
}

/** Violations found by comparing journal, segments, plan and truth. */
export async function breaches(
  world: World,
  survey: Survey,
  { excluded, muted }: { excluded: (address: number) => boolean; muted: ReadonlySet<string> },
): Promise<string[]> {
  const found: string[] = [];
  const plan = await world.planOf(survey);
  const folder = join(DATA, survey.id);
  const verdict = await verify({ survey, plan, folder, disk: world.disk });
  found.push(...verdict.examples);
  if (verdict.targetsCovered !== plan.size)
    found.push(`covered ${verdict.targetsCovered} of ${plan.size}`);
  // Rows may be missing for positions that were settled by an agent without replies; all other rows are
  // certain.
  const unheard = new Set<number>();
  for await (const { epochs } of readJournal(world.disk, join(folder, 'journal.ndjson'))) {
    for (const { agent, from, settledUpTo } of epochs) {
      if (!muted.has(agent)) continue;
      for (let position = from; position < settledUpTo; position++) unheard.add(position);
    }
  }
  const rows = await rowsOf(world, survey);
  const possible = new Set(expectedRows(world, plan, survey.rows));
  const certain = expectedRows(world, plan, survey.rows, (position, address) => {
    return !unheard.has(position) && !excluded(address);
  });
  const there = new Set(rows);
  if (there.size !== rows.length) found.push(`${rows.length - there.size} rows are there twice`);
  const missing = certain.filter((row) => !there.has(row));
  if (missing.length > 0) found.push(`${missing.length} rows are missing, such as ${missing[0]}`);
  // If an agent stops receiving between a target's reset and its SYN-ACK, the reset alone becomes a row.
  const halfHeard = new Set(
    [...unheard].map((position) => {
      const { w3: address, port } = plan.targetAt(position);
      return `${formatIpv4(address)},${port}`;
    }),
  );
  const strange = rows.filter(
    (row) => !possible.has(row) && !halfHeard.has(row.split(',').slice(0, 2).join(',')),
  );
  if (strange.length > 0) found.push(`${strange.length} rows are wrong, such as ${strange[0]}`);
  const targetsProbed = new Set(world.internet.shots.map(({ position }) => position));
  for (let position = 0; position < plan.size; position++) {
    if (!targetsProbed.has(position) && !excluded(plan.targetAt(position).w3)) {
      found.push(`position ${position} was never probed`);
      break;
    }
  }
  return found;
}
