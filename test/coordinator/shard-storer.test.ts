import { expect, test } from 'vitest';
import { ShardStorer } from '../../coordinator/storage/shard-storer.js';
import { SigningKey } from '../../coordinator/storage/signing-key.js';
import { SurveyFolder } from '../../coordinator/storage/survey-folder.js';
import { systemClock } from '../../shared/base/clock.js';
import { Ranges } from '../../shared/net/ranges.js';
import { NO_FINDINGS } from '../../shared/survey/icmp-findings.js';
import type { Lease } from '../../shared/survey/lease.js';
import { Plan } from '../../shared/survey/plan.js';
import { emptyColumns, FLAG_ERROR, type ResultBatch } from '../../shared/survey/results.js';
import { Space } from '../../shared/survey/space/space.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { KEY } from '../support/replies.js';
import { CODE, pushRow, TCP_SYN_SET } from '../support/tcp-syn-set.js';

const ROWS = 10;
const HOLDER = { epoch: 1, agent: 'one', vantage: 'here' };

/** A disk that completes no write until the test releases it. */
class HeldDisk extends MemoryDisk {
  release = () => {};
  readonly #released = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  override async writeWhole(...args: Parameters<MemoryDisk['writeWhole']>): Promise<void> {
    await this.#released;
    await super.writeWhole(...args);
  }
}

function batchOf(shard: number): ResultBatch {
  const columns = emptyColumns();
  for (let row = 0; row < ROWS; row++) {
    pushRow(columns);
    columns.offset[row] = row;
    columns.classification[row] = CODE.ICMP;
    columns.flags[row] = FLAG_ERROR;
  }
  return { survey: 's', shard, serial: 0, timestamp: 1, ...HOLDER, columns };
}

function settledLease({ number: shard, from, to }: ReturnType<Plan['shard']>): Lease {
  const counts = { replies: { icmp: ROWS }, ...noneUnsent(), ...NO_FINDINGS, rulesHash: '' };
  const extent = { from, sentUpTo: to, settledUpTo: to, probesSent: to - from, batches: 1 };
  const record = { ...HOLDER, ...extent, ...counts, startedAt: 1, updatedAt: 2, versionSpans: [] };
  return { survey: 's', shard, state: 'settled', epochs: [record], term: 1 };
}

test('the storer reports a problem when too many rows wait, and until their number has fallen to half that limit', async () => {
  const disk = new HeldDisk();
  const space = Space.ofIpv4(Ranges.of([{ from: 1000, to: 1000 + 40 * 64 }]), [80] as never);
  const plan = new Plan(space, '7', 64);
  const folder = new SurveyFolder('/s', 'ndjson', {
    disk,
    term: 1,
    signingKey: new SigningKey('/', disk),
  });
  const told: string[] = [];
  const storer = new ShardStorer(plan, TCP_SYN_SET, {
    survey: 's',
    clock: systemClock,
    log: silentLog,
    folder,
    keyOf: () => KEY,
    onForged: () => {},
    onProblemChange: () => told.push(storer.problem),
    rowsWaitingMax: 20 * ROWS,
  });
  for (let number = 0; number < 30; number++) {
    expect(storer.problem === '').toBe(number <= 20);
    storer.onLease({ ...settledLease(plan.shard(number)), state: 'held' });
    storer.onBatch({ batch: batchOf(number), remaining: 0, acknowledge() {} });
    storer.onLease(settledLease(plan.shard(number)), number + 1);
  }
  expect(told).toEqual([expect.stringMatching(/come faster than they can be stored/)]);
  disk.release();
  while (storer.table.shardsStored < 30) {
    if (storer.table.shardsStored >= 20) expect(storer.problem).toBe('');
    await storer.flushed();
  }
  expect(told).toHaveLength(2);
  expect(storer.table.rowsStored).toBe(30 * ROWS);
});
