import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sinkNamed } from '../../coordinator/sink/catalogue.js';
import { FIELDS, fieldIndices, parseFields, type Row, rowOf } from '../../coordinator/sink/row.js';
import { rowsOf, SegmentStore } from '../../coordinator/sink/segments.js';
import type { Sink } from '../../coordinator/sink/sink.js';
import { systemDisk } from '../../shared/base/disk.js';
import type { Port } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { CLASSIFICATION } from '../../shared/probe/classification.js';
import { Plan } from '../../shared/survey/plan.js';
import { emptyColumns, OPTION_MASK, type ResultBatch } from '../../shared/survey/results.js';
import { Space } from '../../shared/survey/space/space.js';

const ALL = FIELDS.map(({ name }) => name);

const anyValue = (kind: 'string' | 'number' | 'boolean') => {
  const text = fc.string({ minLength: 1 }).filter((value) => !/[\r\n]/.test(value));
  const value = kind === 'string' ? text : kind === 'number' ? fc.maxSafeInteger() : fc.boolean();
  return fc.option(value as fc.Arbitrary<string | number | boolean>, { nil: null });
};
const anyRow = fc.tuple(...FIELDS.map(({ kind }) => anyValue(kind))) as fc.Arbitrary<Row>;

function sinkContract(sink: Sink): void {
  describe(`the ${sink.name} sink`, () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'transect-sink-'));
    });
    afterEach(() => rm(folder, { recursive: true }));

    test('reads back every row it wrote, whatever is in it', () => {
      fc.assert(
        fc.property(fc.array(anyRow, { maxLength: 5 }), (rows) => {
          const lines = rows.map((row) => sink.line(row, ALL, fieldIndices(ALL)));
          expect([...rowsOf(sink, sink.header(ALL) + lines.join(''))]).toEqual(rows);
        }),
      );
    });

    test('stores a segment whole, the same however often', async () => {
      const store = new SegmentStore(folder, sink.name, systemDisk);
      const rows = fc.sample(anyRow, 10_000).slice(0, 5000);
      expect(await store.stored()).toEqual([]);
      await store.write(7, rows);
      const once = await store.bytes(7);
      await store.write(7, rows);
      expect(Buffer.compare(await store.bytes(7), once)).toBe(0);
      expect(await store.stored()).toEqual([7]);
      expect(await store.countRows(7)).toBe(rows.length);
    });

    test('leaves nothing behind when a segment cannot be made', async () => {
      const store = new SegmentStore(folder, sink.name, systemDisk);
      const failing = function* (): Generator<Row> {
        yield fc.sample(anyRow, 1)[0]!;
        throw new Error('no more rows');
      };
      await expect(store.write(7, failing())).rejects.toMatchObject({ code: 'UNWRITABLE' });
      expect(await store.stored()).toEqual([]);
      expect(await readdir(join(folder, 'segments'))).toEqual([]);
    });
  });
}

sinkContract(sinkNamed('csv'));
sinkContract(sinkNamed('ndjson'));

describe('a row', () => {
  const plan = new Plan(
    Space.ofIpv4(Ranges.of([{ from: 0xc6120000, to: 0xc6120100 }]), [80] as Port[]),
    '7',
    256,
  );
  const batchOf = (values: Partial<Record<keyof ResultBatch['columns'], number>>): ResultBatch => {
    const columns = emptyColumns();
    for (const [name, column] of Object.entries(columns)) {
      column.push(values[name as keyof typeof values] ?? 0);
    }
    const head = { survey: 's', shard: 0, epoch: 1, serial: 0, agent: 'a-1', vantage: 'a' };
    return { ...head, timestamp: 1_700_000_000_250_000, columns };
  };
  const named = (batch: ResultBatch) => {
    const row = rowOf(plan, batch, 0);
    return Object.fromEntries(ALL.map((name, i) => [name, row[i]]));
  };

  test('of a SYN-ACK has ZMap’s fields, with the target from its position', () => {
    const batch = batchOf({
      offset: 5,
      classification: CLASSIFICATION.SYNACK,
      source2: 0xffff,
      source3: 0x64400001,
      sourcePort: 61000,
      timestampDelta: 125,
      optionMask: OPTION_MASK.MSS | OPTION_MASK.SACK,
      maximumSegment: 1460,
      timeToLive: 57,
      roundTrip: 12_346,
    });
    const { w3: address } = plan.targetAt(5);
    expect(named(batch)).toMatchObject({
      saddr: `198.18.0.${address & 255}`,
      sport: 80,
      daddr: '100.64.0.1',
      dport: 61000,
      classification: 'synack',
      success: true,
      repeat: false,
      ttl: 57,
      tcpopt_mss: 1460,
      tcpopt_wscale: null,
      tcpopt_sack_perm: true,
      icmp_type: null,
      timestamp_str: '2023-11-14T22:13:20.250Z',
      timestamp_ts: 1_700_000_000,
      timestamp_us: 250_125,
      rtt_ms: 12.345,
      position: 5,
    });
  });

  test('of an ICMP error names the router, and has no TCP fields', () => {
    const classification = CLASSIFICATION.ICMP;
    const batch = batchOf({
      classification,
      responder2: 0xffff,
      responder3: 0x0a090807,
      icmpType: 3,
      icmpCode: 13,
    });
    expect(named(batch)).toMatchObject({
      classification: 'icmp',
      success: false,
      icmp_responder: '10.9.8.7',
      icmp_type: 3,
      icmp_code: 13,
      icmp_unreach_str: 'communication admin. prohibited',
      seqnum: null,
      tcpopt_sack_perm: null,
      rtt_ms: null,
    });
  });

  test('has the fields asked for, or a fault that lists those there are', () => {
    expect(parseFields('saddr, sport')).toEqual(['saddr', 'sport']);
    expect(parseFields('*')).toEqual(ALL);
    expect(() => parseFields('saddr,nope')).toThrow(
      expect.objectContaining({
        code: 'BAD_OPTION',
        message: expect.stringContaining('saddr sport'),
      }),
    );
  });
});

describe('a file', () => {
  test('that cannot be written is a fault that names it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'transect-disk-'));
    await systemDisk.writeWhole(join(folder, 'file'), ['text']);
    const beneath = join(folder, 'file', 'beneath');
    await expect(systemDisk.writeWhole(beneath, ['x'])).rejects.toMatchObject({
      code: 'UNWRITABLE',
      details: { file: beneath },
    });
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('text');
    await rm(folder, { recursive: true });
  });
});
