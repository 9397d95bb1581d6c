/** Rows per second from result batches to a durable segment, by format; collecting the rows is included. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RowSource } from '../coordinator/sink/row-source.js';
import { SegmentStore } from '../coordinator/storage/segments.js';
import { ShardRows } from '../coordinator/storage/shard-rows.js';
import { systemDisk } from '../shared/host/disk.js';
import type { ProbePort } from '../shared/net/ports.js';
import { Ranges } from '../shared/net/ranges.js';
import type { EpochRecord } from '../shared/survey/lease.js';
import { Plan } from '../shared/survey/plan.js';
import {
  type ColumnName,
  emptyColumns,
  FLAG_TCP,
  OPTION_MASK,
  type ResultBatch,
} from '../shared/survey/results.js';
import { Space } from '../shared/survey/space/space.js';
import { CODE, pushRow, TCP_SYN_SET } from '../test/support/tcp-syn-set.js';
import { median, printTable } from './harness.js';

const SHARD = 65_536;
const BATCH = 4096;
const ROUNDS = 7;

const plan = new Plan(
  Space.ofIpv4(Ranges.of([{ from: 0x0b000000, to: 0x0c000000 }]), [80] as ProbePort[]),
  '7',
  SHARD,
);

/** Every position of a shard has a reply, with values such as real hosts send. */
const batches: ResultBatch[] = Array.from({ length: SHARD / BATCH }, (_, serial) => {
  const columns = emptyColumns();
  for (let i = 0; i < BATCH; i++) {
    const mixed = Math.imul(serial * BATCH + i + 1, 0x9e3779b1) >>> 0;
    pushRow(columns);
    const set = (name: ColumnName, value: number) => {
      columns[name][i] = value;
    };
    set('offset', serial * BATCH + i);
    set('timestampDelta', i * 15);
    set('classification', mixed % 3 === 0 ? CODE.SYNACK : CODE.RST);
    set('flags', FLAG_TCP);
    set('source2', 0xffff);
    set('source3', 0x64400001);
    set('sourcePort', 61_000 + (mixed % 64));
    set('sequence', mixed);
    set('acknowledgment', Math.imul(mixed, 0x85ebca6b) >>> 0);
    set('window', [64_240, 65_535, 29_200][mixed % 3] as number);
    set('timeToLive', 40 + (mixed % 24));
    set('identification', 0);
    set('optionMask', OPTION_MASK.MSS | OPTION_MASK.SACK);
    set('maximumSegment', mixed % 5 === 0 ? 1400 : 1460);
  }
  const head = {
    survey: 'bench',
    shard: 0,
    epoch: 1,
    serial,
    agent: 'north-abcde',
    vantage: 'north',
  };
  return { ...head, timestamp: 1_700_000_000_000_000 + serial * 60_000, columns };
});
const report = { from: 0, settledUpTo: SHARD } as EpochRecord;

function rowsOfShard(): ShardRows {
  const rows = new ShardRows(plan.shard(0));
  for (const batch of batches) rows.add(batch, report);
  return rows;
}

function* sources(rows: ShardRows): Generator<RowSource> {
  const source = new RowSource(plan, TCP_SYN_SET);
  for (const { batch, row } of rows.inOrder()) yield source.moveTo(batch, row);
}

const folder = mkdtempSync(join(tmpdir(), 'transect-sink-bench-'));
const table: Record<string, string>[] = [];
for (const format of ['parquet', 'csv', 'ndjson']) {
  const store = new SegmentStore(join(folder, format), format, systemDisk);
  for (const together of [1, 8]) {
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS + 1; round++) {
      const start = process.hrtime.bigint();
      const shards = Array.from({ length: together }, (_, shard) => shard);
      await Promise.all(shards.map((shard) => store.write(shard, sources(rowsOfShard()))));
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      if (round > 0) rates.push((together * SHARD) / seconds / 1000);
    }
    const [{ file } = { file: '' }] = await store.list();
    const octets = (await systemDisk.size(file)) / SHARD;
    table.push({
      format,
      'shards at once': String(together),
      'rows (k/s)': String(Math.round(median(rates))),
      'octets per row': octets.toFixed(1),
    });
  }
}
rmSync(folder, { recursive: true });
printTable(`Rows to durable segments, ${SHARD} rows each`, table);
