import { expect, test } from 'vitest';
import { Archive } from '../../coordinator/archive.js';
import { Vault } from '../../coordinator/vault.js';
import { systemClock } from '../../shared/base/clock.js';
import { Ranges } from '../../shared/net/ranges.js';
import type { Lease } from '../../shared/survey/lease.js';
import { Plan } from '../../shared/survey/plan.js';
import { emptyColumns, type ResultBatch } from '../../shared/survey/results.js';
import { Space } from '../../shared/survey/space/space.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';

const ROWS = 10;
const HOLDER = { epoch: 1, agent: 'one', vantage: 'here' };

/** A disk that writes nothing until it is told to. */
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
    for (const column of Object.values(columns)) column.push(0);
    columns.offset[row] = row;
    columns.classification[row] = 1;
  }
  return { survey: 's', shard, serial: 0, timestamp: 1, ...HOLDER, columns };
}

function settledLease({ number: shard, from, to }: ReturnType<Plan['shard']>): Lease {
  const counts = { synack: ROWS, rst: 0, icmp: 0, ...noneUnsent(), rulesHash: '' };
  const extent = { from, sent: to, settled: to, probes: to - from, batches: 1 };
  const report = { ...HOLDER, ...extent, ...counts, startedAt: 1, updatedAt: 2, marks: [] };
  return { survey: 's', shard, state: 'settled', reports: [report] };
}

test('the archive is in trouble while too many rows wait for the disk, until half of them are stored', async () => {
  const disk = new HeldDisk();
  const space = Space.ofIpv4(Ranges.of([{ from: 1000, to: 1000 + 40 * 64 }]), [80] as never);
  const plan = new Plan(space, '7', 64);
  const vault = new Vault('/s', 'ndjson', { disk, term: 1 });
  const told: string[] = [];
  const archive = new Archive(plan, {
    survey: 's',
    clock: systemClock,
    log: silentLog,
    vault,
    onTrouble: () => told.push(archive.trouble),
    rowsWaitingMax: 20 * ROWS,
  });
  for (let number = 0; number < 30; number++) {
    expect(archive.trouble === '').toBe(number <= 20);
    archive.collect({ batch: batchOf(number), left: 0, stored() {} });
    archive.leased({ value: settledLease(plan.shard(number)), revision: number + 1 });
  }
  expect(told).toEqual([expect.stringMatching(/come faster than they can be stored/)]);
  disk.release();
  while (archive.ledger.stored < 30) {
    if (archive.ledger.stored >= 20) expect(archive.trouble).toBe('');
    await archive.settled();
  }
  expect(told).toHaveLength(2);
  expect(archive.ledger.rows).toBe(30 * ROWS);
});
