import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchCollector } from '../../coordinator/storage/batch-collector.js';
import { findEntry, Journal, lastTermIn, readJournal } from '../../coordinator/storage/journal.js';
import { ShardTable } from '../../coordinator/storage/shard-table.js';
import type { Position } from '../../shared/base/brand.js';
import { IntervalSet } from '../../shared/base/intervals.js';
import type { ResultDelivery } from '../../shared/bus/interfaces.js';
import { systemDisk } from '../../shared/host/disk.js';
import { NO_FINDINGS } from '../../shared/survey/icmp-findings.js';
import type { EpochRecord, Lease } from '../../shared/survey/lease.js';
import { emptyColumns, type ResultBatch } from '../../shared/survey/results.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { pushRow } from '../support/tcp-syn-set.js';

const SHARD = { number: 1, from: 256 as Position, to: 512 as Position };

const record = (
  epoch: number,
  from: number,
  settledUpTo: number,
  batches: number,
): EpochRecord => ({
  epoch,
  agent: `agent-${epoch}`,
  vantage: 'here',
  from,
  sentUpTo: settledUpTo,
  probesSent: settledUpTo - from,
  settledUpTo,
  batches,
  replies: { synack: settledUpTo - from },
  ...noneUnsent(),
  ...NO_FINDINGS,
  rulesHash: '',
  startedAt: 1,
  updatedAt: 2,
  versionSpans: [],
});

const lease = (...epochs: EpochRecord[]): Lease => {
  const isSettled = epochs.at(-1)?.settledUpTo === SHARD.to;
  return { survey: 's', shard: 1, state: isSettled ? 'settled' : 'held', epochs, term: 1 };
};

/** A batch with rows of `[offset, classification]`. */
function batch(epoch: number, serial: number, rows: readonly [number, number][]): ResultBatch {
  const columns = emptyColumns();
  for (const [offset, code] of rows) {
    pushRow(columns);
    columns.offset[columns.offset.length - 1] = offset;
    columns.classification[columns.classification.length - 1] = code;
  }
  const agent = `agent-${epoch}`;
  return { survey: 's', shard: 1, epoch, serial, agent, vantage: 'here', timestamp: 1, columns };
}

const rowsOf = (collector: BatchCollector, of: Lease) =>
  [...collector.rowsOf(of, SHARD).inOrder()].map(({ batch: { epoch, columns }, row }) => [
    epoch,
    columns.offset[row],
    columns.classification[row],
  ]);

/** A lease that lists the epochs of the test, with all of their batches. */
const OPEN = lease(record(1, 256, 300, 9), record(2, 300, 300, 0));
const add = (collector: BatchCollector, delivery: ResultDelivery, of: Lease | undefined = OPEN) =>
  collector.add(delivery, { lease: of, positions: 256 });

describe('the collector', () => {
  test('waits for every batch that the lease counts', () => {
    const collector = new BatchCollector();
    const settled = lease(record(1, 256, 300, 1), record(2, 300, 512, 2));
    const deliver = (epoch: number, serial: number) =>
      add(collector, { batch: batch(epoch, serial, []), remaining: 0, acknowledge() {} });
    expect(collector.hasAll(settled)).toBe(false);
    deliver(1, 0);
    deliver(2, 1);
    expect(collector.hasAll(settled)).toBe(false);
    deliver(2, 0);
    expect(collector.hasAll(settled)).toBe(true);
    expect(collector.hasAll(lease(record(1, 256, 512, 0)))).toBe(true);
  });

  test('keeps only the rows that their epoch owns', () => {
    const collector = new BatchCollector();
    const settled = lease(record(1, 256, 300, 1), record(2, 300, 512, 1));
    add(collector, {
      batch: batch(1, 0, [
        [0, 1],
        [43, 2],
        [44, 1],
        [200, 1],
      ]),
      remaining: 0,
      acknowledge() {},
    });
    // Published after the last checkpoint of its epoch.
    add(collector, { batch: batch(1, 1, [[1, 1]]), remaining: 0, acknowledge() {} });
    add(collector, {
      batch: batch(2, 0, [
        [10, 1],
        [44, 2],
        [255, 1],
      ]),
      remaining: 0,
      acknowledge() {},
    });
    expect(rowsOf(collector, settled)).toEqual([
      [1, 0, 1],
      [1, 43, 2],
      [2, 44, 2],
      [2, 255, 1],
    ]);
  });

  test('keeps one row per position: the one of the best class', () => {
    const collector = new BatchCollector();
    const settled = lease(record(1, 256, 512, 2));
    add(collector, {
      batch: batch(1, 0, [
        [5, 2],
        [6, 3],
        [7, 1],
      ]),
      remaining: 0,
      acknowledge() {},
    });
    add(collector, {
      batch: batch(1, 1, [
        [5, 1],
        [6, 2],
        [7, 2],
      ]),
      remaining: 0,
      acknowledge() {},
    });
    expect(rowsOf(collector, settled).map(([, offset, code]) => [offset, code])).toEqual([
      [5, 1],
      [6, 2],
      [7, 1],
    ]);
  });

  test('rejects batches that no lease counts, however many arrive', () => {
    const collector = new BatchCollector();
    const deliver = (epoch: number, serial: number, of: Lease | undefined, rows = 0) => {
      const content = Array.from({ length: rows }, (_, i) => [i, 1] as [number, number]);
      const delivery = { batch: batch(epoch, serial, content), remaining: 0, acknowledge() {} };
      return collector.add(delivery, { lease: of, positions: 256 });
    };
    const two = lease(record(1, 256, 300, 1), record(2, 300, 300, 0));
    expect(deliver(1, 0, two)).toBe(true);
    expect(deliver(1, 1, two)).toBe(false); // the first epoch ended with one batch
    expect(deliver(3, 0, two)).toBe(false); // nobody has opened this epoch
    expect(deliver(1, 0, undefined)).toBe(false); // nor any epoch of this shard
    const other = { ...batch(2, 0, [[1, 1]]), agent: 'stranger' };
    expect(add(collector, { batch: other, remaining: 0, acknowledge() {} }, two)).toBe(false);
    let kept = 0;
    for (let serial = 0; serial < 100; serial++) if (deliver(2, serial, two, 256)) kept++;
    expect(kept).toBe(3); // at most three rows for each position
    for (let serial = 0; serial < 9000; serial++) if (deliver(2, 100 + serial, two)) kept++;
    expect(kept).toBe(3); // and no batch without rows beyond that
  });

  test('keeps all batches of a slow epoch that publishes one batch for each row', () => {
    const collector = new BatchCollector();
    const open = lease(record(1, 256, 300, 0));
    for (let serial = 0; serial < 10_000; serial++) {
      const delivery = {
        batch: batch(1, serial, [[serial % 44, 1]]),
        remaining: 0,
        acknowledge() {},
      };
      expect(collector.add(delivery, { lease: open, positions: 65_536 })).toBe(true);
    }
    expect(collector.hasAll(lease(record(1, 256, 300, 10_000)))).toBe(true);
  });

  test('acknowledges all batches of a shard once it is stored, and not before', () => {
    const collector = new BatchCollector();
    let released = 0;
    const acknowledge = () => void released++;
    for (const serial of [0, 1, 2])
      add(collector, { batch: batch(1, serial, []), remaining: 0, acknowledge });
    collector.rowsOf(lease(record(1, 256, 512, 2)), SHARD);
    expect(released).toBe(0);
    collector.acknowledge(1);
    expect(released).toBe(3);
  });
});

const entry = (
  shard: number,
  coveredUpTo = 256,
  rowCount = 0,
  epochs: readonly EpochRecord[] = [],
) => {
  const from = shard * 256;
  return { shard, from, to: from + 256, coveredUpTo: from + coveredUpTo, rowCount, epochs };
};

describe('the shard table', () => {
  const any = () => true;
  const leaseOf = (shard: number, state: Lease['state'] = 'held'): Lease => ({
    ...lease(record(1, shard * 256, shard * 256 + 44, 0)),
    shard,
    state,
  });

  test('leases each shard once: those that were released first, then the others in their order', () => {
    const table = new ShardTable(4);
    const taken: number[] = [];
    const take = () => {
      const shard = table.next(any);
      if (shard === undefined) return;
      taken.push(shard);
      table.onLease(leaseOf(shard), 0);
    };
    for (let i = 0; i < 3; i++) take();
    table.onLease(leaseOf(1, 'released'), 0);
    for (let i = 0; i < 5; i++) take();
    expect(taken).toEqual([0, 1, 2, 1, 3]);
    expect(table.hasNext).toBe(false);
  });

  test('leases the shards of an agent that is gone again, unless it reports them before', () => {
    const table = new ShardTable(2);
    for (const shard of [0, 1]) table.onLease(leaseOf(shard), 0);
    expect(table.heldBy('agent-1')).toEqual([0, 1]);
    table.freeShardsOf('agent-1');
    table.onReported(0);
    expect(table.next(any)).toBe(1);
    expect(table.next((shard) => shard !== 1)).toBeUndefined();
  });

  test('does not lease stored shards', () => {
    const table = new ShardTable(5);
    table.onStored(entry(0));
    table.onStored(entry(1, 256, 7));
    expect(table.next(any)).toBe(2);
    expect([table.targetsCovered, table.rowsStored, table.isComplete]).toEqual([512, 7, false]);
  });

  test('refuses to store a shard twice', () => {
    const table = new ShardTable(2);
    table.onStored(entry(0));
    expect(() => table.onStored(entry(0))).toThrow('stored twice');
  });

  test('adds up every epoch’s probes, before and after the shard is stored', () => {
    const table = new ShardTable(2);
    const both = lease(record(1, 256, 300, 0), record(2, 300, 512, 0));
    table.onLease(both, 0);
    expect(table.totals).toMatchObject({ probesSent: 256, replies: { synack: 256 } });
    table.onStored(entry(1, 256, 256, both.epochs));
    expect(table.totals).toMatchObject({ probesSent: 256, replies: { synack: 256 } });
    expect(table.agents.get('agent-2')).toMatchObject({
      vantage: 'here',
      probesSent: 212,
      targetsSettled: 212,
    });
    table.onLease(both, 0); // a late change of a stored shard's lease
    expect(table.totals.probesSent).toBe(256);
  });

  test('is complete when every shard is stored, in any order', () => {
    const table = new ShardTable(100);
    for (let i = 0; i < 100; i++) {
      expect(table.isComplete).toBe(false);
      table.onStored(entry((i * 37) % 100, 1));
    }
    expect(table.isComplete).toBe(true);
    expect(table.next(any)).toBeUndefined();
    expect(table.incomplete).toHaveLength(100);
  });

  test('purges no record of a shard that is not stored', () => {
    const table = new ShardTable(10);
    for (const [shard, revision] of [
      [0, 11],
      [1, 12],
      [2, 13],
    ] as const) {
      table.onLease(leaseOf(shard), 0, revision);
      table.onWritten(shard, revision);
    }
    table.onLease(leaseOf(3), 0); // not written yet
    table.onStored(entry(0));
    expect(table.purgeableRevision).toBe(12);
    table.onStored(entry(2));
    expect(table.purgeableRevision).toBe(12);
    table.onStored(entry(1));
    expect(table.purgeableRevision).toBe(14);
  });
});

describe('the journal', () => {
  const written = async (disk: MemoryDisk) => {
    const found: number[] = [];
    for await (const { shard } of readJournal(disk, '/journal')) found.push(shard);
    return found;
  };

  test('can be read back from the disk alone', async () => {
    const disk = new MemoryDisk();
    const journal = new Journal(disk, '/journal', 1);
    await journal.begin();
    await Promise.all([3, 1, 2].map((shard) => journal.add(entry(shard))));
    expect(await written(disk)).toEqual([3, 1, 2]);
    expect(await findEntry(disk, '/journal', 1)).toMatchObject(entry(1));
    expect(await findEntry(disk, '/journal', 7)).toBeUndefined();
  });

  test('refuses lines of an earlier term once a later term has begun', async () => {
    const disk = new MemoryDisk();
    const [before, after] = [new Journal(disk, '/journal', 1), new Journal(disk, '/journal', 2)];
    await before.begin();
    await before.add(entry(1));
    await after.begin();
    await expect(before.add(entry(2))).rejects.toThrow('another coordinator has taken over');
    await after.add(entry(3));
    expect(await written(disk)).toEqual([1, 3]);
  });

  test.each([1, 2000])(
    'refuses a megabyte that is added at once, in %d lines, if a later term has begun',
    async (lines) => {
      const disk = new MemoryDisk();
      const [before, after] = [new Journal(disk, '/journal', 1), new Journal(disk, '/journal', 2)];
      await before.begin();
      await after.begin();
      const long = { ...entry(0), unsent: { excluded: 'x'.repeat(1_000_000 / lines) } };
      const adding = Array.from({ length: lines }, (_, shard) => before.add({ ...long, shard }));
      const outcomes = await Promise.allSettled(adding);
      expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
      expect(await lastTermIn(disk, '/journal')).toBe(2);
    },
  );

  test('skips a torn last line when its entries are read, and appends new lines after it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'transect-journal-'));
    const file = join(folder, 'journal.ndjson');
    const journal = new Journal(systemDisk, file, 1);
    await journal.add(entry(1));
    await appendFile(file, '{"term":1,"shard":2,"fr');
    await new Journal(systemDisk, file, 2).add(entry(3));
    const found: number[] = [];
    for await (const { shard } of readJournal(systemDisk, file)) found.push(shard);
    expect(found).toEqual([1, 3]);
    await rm(folder, { recursive: true });
  });
});

describe('a set of intervals', () => {
  test('contains the same numbers as a plain set, in any order of additions', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 })), (numbers) => {
        const intervals = new IntervalSet();
        const plain = new Set<number>();
        for (const number of numbers) {
          expect(intervals.add(number)).toBe(!plain.has(number));
          plain.add(number);
        }
        expect(intervals.size).toBe(plain.size);
        for (let number = 0; number <= 62; number++) {
          expect(intervals.has(number)).toBe(plain.has(number));
          let gap = number;
          while (plain.has(gap)) gap++;
          expect(intervals.firstGap(number)).toBe(gap);
          expect(intervals.hasAll(number, 61)).toBe(gap >= 61 || number >= 61);
        }
      }),
    );
  });
});
