import { describe, expect, test } from 'vitest';
import { Collector } from '../../coordinator/collect/collector.js';
import { Ledger } from '../../coordinator/ledger/ledger.js';
import type { Position } from '../../shared/base/brand.js';
import type { Lease, ShardReport } from '../../shared/survey/lease.js';
import { emptyColumns, type ResultBatch } from '../../shared/survey/results.js';

const SHARD = { number: 1, from: 256 as Position, to: 512 as Position };

const report = (epoch: number, from: number, settled: number, batches: number): ShardReport => ({
  epoch,
  agent: `agent-${epoch}`,
  vantage: 'here',
  from,
  sent: settled,
  settled,
  batches,
  synack: settled - from,
  rst: 0,
  icmp: 0,
  lost: 0,
  excluded: 0,
  startedAt: 1,
  updatedAt: 2,
});

const lease = (...reports: ShardReport[]): Lease => {
  const isSettled = reports.at(-1)?.settled === SHARD.to;
  return { survey: 's', shard: 1, state: isSettled ? 'settled' : 'held', reports };
};

/** A batch with rows of `[offset, classification]`. */
function batch(epoch: number, serial: number, rows: readonly [number, number][]): ResultBatch {
  const columns = emptyColumns();
  for (const [offset, code] of rows) {
    for (const column of Object.values(columns)) column.push(0);
    columns.offset[columns.offset.length - 1] = offset;
    columns.classification[columns.classification.length - 1] = code;
  }
  const agent = `agent-${epoch}`;
  return { survey: 's', shard: 1, epoch, serial, agent, vantage: 'here', timestamp: 1, columns };
}

const rowsOf = (collector: Collector, of: Lease) =>
  collector
    .assemble(of, SHARD)
    .map(({ batch: { epoch, columns }, row }) => [
      epoch,
      columns.offset[row],
      columns.classification[row],
    ]);

describe('the collector', () => {
  test('waits for every batch that the lease counts', () => {
    const collector = new Collector();
    const settled = lease(report(1, 256, 300, 1), report(2, 300, 512, 2));
    const deliver = (epoch: number, serial: number) =>
      collector.add({ batch: batch(epoch, serial, []), stored() {} });
    expect(collector.hasAll(settled)).toBe(false);
    deliver(1, 0);
    deliver(2, 1);
    expect(collector.hasAll(settled)).toBe(false);
    deliver(2, 0);
    expect(collector.hasAll(settled)).toBe(true);
    expect(collector.hasAll(lease(report(1, 256, 512, 0)))).toBe(true);
  });

  test('keeps only the rows that their epoch owns', () => {
    const collector = new Collector();
    const settled = lease(report(1, 256, 300, 1), report(2, 300, 512, 1));
    collector.add({
      batch: batch(1, 0, [
        [0, 1],
        [43, 2],
        [44, 1],
        [200, 1],
      ]),
      stored() {},
    });
    collector.add({ batch: batch(1, 1, [[1, 1]]), stored() {} }); // after its last checkpoint
    collector.add({
      batch: batch(2, 0, [
        [10, 1],
        [44, 2],
        [255, 1],
      ]),
      stored() {},
    });
    expect(rowsOf(collector, settled)).toEqual([
      [1, 0, 1],
      [1, 43, 2],
      [2, 44, 2],
      [2, 255, 1],
    ]);
  });

  test('keeps one row per position: the one that says most', () => {
    const collector = new Collector();
    const settled = lease(report(1, 256, 512, 2));
    collector.add({
      batch: batch(1, 0, [
        [5, 2],
        [6, 3],
        [7, 1],
      ]),
      stored() {},
    });
    collector.add({
      batch: batch(1, 1, [
        [5, 1],
        [6, 2],
        [7, 2],
      ]),
      stored() {},
    });
    expect(rowsOf(collector, settled).map(([, offset, code]) => [offset, code])).toEqual([
      [5, 1],
      [6, 2],
      [7, 1],
    ]);
  });

  test('lets go of all batches of a shard once it is stored, and not before', () => {
    const collector = new Collector();
    let released = 0;
    const stored = () => void released++;
    for (const serial of [0, 1, 2]) collector.add({ batch: batch(1, serial, []), stored });
    collector.assemble(lease(report(1, 256, 512, 2)), SHARD);
    expect(released).toBe(0);
    collector.release(1);
    expect(released).toBe(3);
  });
});

describe('the ledger', () => {
  test('offers each shard once, a window at a time', () => {
    const ledger = new Ledger(10);
    expect(ledger.offerNext(4)).toEqual([0, 1, 2, 3]);
    expect(ledger.offerNext(4)).toEqual([]);
    ledger.leased(lease(report(1, 256, 300, 0)));
    expect(ledger.offerNext(4)).toEqual([4]);
    expect(ledger.offerNext(100)).toEqual([5, 6, 7, 8, 9]);
    expect(ledger.offerNext(100)).toEqual([]);
  });

  test('does not offer again what is stored', () => {
    const ledger = new Ledger(5);
    ledger.leased(lease(report(1, 256, 512, 0)));
    ledger.storedNow({ shard: 1, covered: 256, rows: 7 });
    expect(ledger.offerNext(100)).toEqual([0, 2, 3, 4]);
    expect([ledger.covered, ledger.rows, ledger.isComplete]).toEqual([256, 7, false]);
  });

  test('refuses to store a shard twice', () => {
    const ledger = new Ledger(2);
    ledger.storedNow({ shard: 0, covered: 256, rows: 0 });
    expect(() => ledger.storedNow({ shard: 0, covered: 256, rows: 0 })).toThrow('stored once');
  });

  test('adds up every epoch’s probes, before and after the shard is stored', () => {
    const ledger = new Ledger(2);
    const both = lease(report(1, 256, 300, 0), report(2, 300, 512, 0));
    ledger.leased(both);
    expect(ledger.totals).toMatchObject({ sent: 256, synack: 256 });
    ledger.storedNow({ shard: 1, covered: 256, rows: 256 });
    expect(ledger.totals).toMatchObject({ sent: 256, synack: 256 });
    ledger.leased(both); // a late change of a stored shard
    expect(ledger.totals.sent).toBe(256);
  });

  test('is complete when every shard is stored, in any order', () => {
    const ledger = new Ledger(100);
    ledger.offerNext(100);
    for (let i = 0; i < 100; i++) {
      expect(ledger.isComplete).toBe(false);
      ledger.storedNow({ shard: (i * 37) % 100, covered: 1, rows: 0 });
    }
    expect(ledger.isComplete).toBe(true);
  });
});
