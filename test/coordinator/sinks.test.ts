import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseFields } from '../../coordinator/sink/field-selection.js';
import { FIELDS, type Row, rowOf } from '../../coordinator/sink/fields.js';
import { RowSource } from '../../coordinator/sink/row-source.js';
import type { Sink } from '../../coordinator/sink/sink.js';
import { SINK_NAMES, sinkNamed } from '../../coordinator/sink/sink-registry.js';
import { SegmentStore } from '../../coordinator/storage/segments.js';
import { systemDisk } from '../../shared/host/disk.js';
import type { Words } from '../../shared/net/endpoint.js';
import { mappedWords } from '../../shared/net/ipv6.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Plan } from '../../shared/survey/plan.js';
import {
  type ColumnName,
  emptyColumns,
  FLAG_DF,
  FLAG_ERROR,
  FLAG_ICMP,
  FLAG_TCP,
  OPTION_MASK,
  type ResultBatch,
} from '../../shared/survey/results.js';
import { Space } from '../../shared/survey/space/space.js';
import { prng } from '../support/prng.js';
import { CODE, pushRow, TCP_SYN_SET } from '../support/tcp-syn-set.js';

const ALL = FIELDS.map(({ name }) => name);

const RANGES = Ranges.of([{ from: 0xc6120000, to: 0xc6130000 }]);
const plan = new Plan(Space.ofIpv4(RANGES, [80, 443] as ProbePort[]), '7', 256);
const SHARDS = 130;

/** Words of any source or router address, of either family. */
const anyWords = fc.oneof(
  fc.nat({ max: 0xffffffff }).map((word) => mappedWords(word)),
  fc.tuple(
    ...([0, 1, 2, 3].map(() => fc.nat({ max: 0xffffffff })) as []),
  ) as unknown as fc.Arbitrary<Words>,
);
const anyBatch = (shard: number): fc.Arbitrary<ResultBatch> =>
  fc
    .record({
      offsets: fc.uniqueArray(fc.nat({ max: 255 }), { maxLength: 40 }),
      agent: fc.constantFrom('north-1', 'south-2'),
      seed: fc.nat(),
      source: anyWords,
      responder: anyWords,
    })
    .map(({ offsets, agent, seed, source, responder }) => {
      const columns = emptyColumns();
      const roll = prng(seed);
      const upTo = (max: number) => Math.floor(roll() * (max + 1));
      for (const offset of [...offsets].sort((a, b) => a - b)) {
        pushRow(columns, upTo(255));
        const set = (name: ColumnName, value: number) => {
          columns[name][columns[name].length - 1] = value;
        };
        set('offset', offset);
        set('classification', 1 + upTo(2));
        set('timestampDelta', upTo(5_000_000));
        for (const name of ['sequence', 'acknowledgment', 'timestampValue', 'roundTrip'] as const) {
          set(name, upTo(0xffffffff));
        }
        for (const name of ['sourcePort', 'window', 'maximumSegment'] as const)
          set(name, upTo(65535));
        for (const i of [0, 1, 2, 3] as const) {
          set(`source${i}`, source[i]);
          set(`responder${i}`, responder[i]);
        }
      }
      const head = { survey: 's', shard, epoch: 1, serial: 0, agent, vantage: 'a' };
      return { ...head, timestamp: 1_700_000_000_250_000, columns };
    });

function* sourcesOf(batch: ResultBatch): Generator<RowSource> {
  const source = new RowSource(plan, TCP_SYN_SET);
  for (let row = 0; row < batch.columns.offset.length; row++) yield source.moveTo(batch, row);
}
const valuesOf = (batch: ResultBatch) => Array.from(sourcesOf(batch), rowOf);
const allOf = async (rows: AsyncIterable<Row>) => {
  const all: Row[] = [];
  for await (const row of rows) all.push(row);
  return all;
};

function sinkContract(sink: Sink): void {
  describe(`the ${sink.name} sink`, () => {
    let folder: string;
    let store: SegmentStore;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'transect-sink-'));
      store = new SegmentStore(folder, sink.name, systemDisk);
    });
    afterEach(() => rm(folder, { recursive: true }));
    const readAll = async () => {
      const all: Row[] = [];
      for (const segment of await store.list()) all.push(...(await allOf(store.read(segment))));
      return all;
    };

    test('reads back every field of every row it wrote, whatever its values', async () => {
      await fc.assert(
        fc.asyncProperty(anyBatch(7), async (batch) => {
          await store.write(7, sourcesOf(batch));
          expect(await readAll()).toEqual(valuesOf(batch));
        }),
        { numRuns: 25 },
      );
    });

    test('stores a segment whole, with the same result however often it is written', async () => {
      const [batch] = fc.sample(anyBatch(7), 1) as [ResultBatch];
      await store.write(7, sourcesOf(batch));
      await store.write(7, sourcesOf(batch));
      expect((await store.list()).map(({ from, to }) => [from, to])).toEqual([[7, 8]]);
      expect(await readAll()).toEqual(valuesOf(batch));
    });

    test('leaves nothing behind when a segment cannot be made', async () => {
      const failing = function* (): Generator<RowSource> {
        yield* [];
        throw new Error('no more rows');
      };
      await expect(store.write(7, failing())).rejects.toMatchObject({ code: 'UNWRITABLE' });
      expect(await store.list()).toEqual([]);
      expect(await readdir(join(folder, 'segments'))).toEqual([]);
    });

    test('finds the row of a position, before and after its segment is merged', async () => {
      const batches = Array.from({ length: SHARDS }, (_, shard) => {
        const [batch] = fc.sample(anyBatch(shard), { numRuns: 1, seed: shard }) as [ResultBatch];
        return batch;
      });
      const stored = new Set<number>();
      const areStored = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, i) => from + i).every((shard) => stored.has(shard));
      for (const [shard, batch] of batches.entries()) {
        if (batch.columns.offset.length > 0) await store.write(shard, sourcesOf(batch));
        stored.add(shard);
        await store.compact(shard, areStored, async () => {});
      }
      const runs = (await store.list()).map(({ from, to }) => `${from}-${to}`);
      expect(runs.slice(0, 2)).toEqual(['0-64', '64-128']);
      expect(runs.length).toBeLessThanOrEqual(4);
      expect(await readAll()).toEqual(batches.flatMap(valuesOf));
      const wanted = batches.find(({ columns }) => columns.offset.length > 3) as ResultBatch;
      const position = wanted.shard * plan.shardLength + (wanted.columns.offset[2] as number);
      const class2 = TCP_SYN_SET.classNames[wanted.columns.classification[2] as number];
      expect(await store.rowAt(wanted.shard, position)).toBe(class2);
      expect(await store.rowAt(129, 129 * 256 + 255.5)).toBeUndefined();
    });

    test('merges a segment without rows with one that has some', async () => {
      const some = fc.sample(anyBatch(1), 30).find(({ columns }) => columns.offset.length > 0);
      await store.write(0, []);
      await store.write(1, sourcesOf(some!));
      const [empty, full] = await store.list();
      const merged = join(store.folder, `000000000-000000064.${sink.name}`);
      await sink.merge(systemDisk, [empty!.file, full!.file], merged);
      expect(await readAll()).toEqual(valuesOf(some!));
    });

    test('removes the temporary files of a writer that died', async () => {
      const batches = [0, 1].map((shard) => fc.sample(anyBatch(shard), 9).at(-1) as ResultBatch);
      for (const batch of batches) await store.write(batch.shard, sourcesOf(batch));
      const [first, second] = await store.list();
      const merged = join(store.folder, `000000000-000000064.${sink.name}`);
      await sink.merge(systemDisk, [first!.file, second!.file], merged);
      await writeFile(join(store.folder, `000000003.${sink.name}.99.part`), 'half');
      expect((await store.list()).map(({ to }) => to)).toEqual([64]);
      await store.sweep(() => true);
      expect(await readdir(store.folder)).toEqual([`000000000-000000064.${sink.name}`]);
      expect(await readAll()).toEqual(batches.flatMap(valuesOf));
    });
  });
}

for (const name of SINK_NAMES) sinkContract(sinkNamed(name));

test('text is written to a line and read back, whatever its characters', () => {
  const anyText = fc.string({ minLength: 1 }).filter((value) => !/[\r\n]/.test(value));
  fc.assert(
    fc.property(fc.array(anyText, { minLength: 2, maxLength: 4 }), (cells) => {
      const fields = cells.map((_, i) => `f${i}`);
      const indices = cells.map((_, i) => i);
      const { text } = sinkNamed('ndjson');
      const object = JSON.parse(text?.line(cells, fields, indices) ?? '');
      expect(fields.map((field) => object[field])).toEqual(cells);
    }),
  );
});

describe('a row', () => {
  const ranges = Ranges.of([{ from: 0xc6120000, to: 0xc6120100 }]);
  const plan = new Plan(Space.ofIpv4(ranges, [80] as ProbePort[]), '7', 256);
  const batchOf = (values: Partial<Record<ColumnName, number>>): ResultBatch => {
    const columns = emptyColumns();
    pushRow(columns);
    for (const [name, value] of Object.entries(values)) columns[name as ColumnName][0] = value;
    const head = { survey: 's', shard: 0, epoch: 1, serial: 0, agent: 'a-1', vantage: 'a' };
    return { ...head, timestamp: 1_700_000_000_250_000, columns };
  };
  const named = (batch: ResultBatch) => {
    const row = rowOf(new RowSource(plan, TCP_SYN_SET).moveTo(batch, 0));
    return Object.fromEntries(ALL.map((name, i) => [name, row[i]]));
  };

  test('of a SYN-ACK has ZMap’s fields, with the target computed from its position', () => {
    const batch = batchOf({
      offset: 5,
      classification: CODE.SYNACK,
      source2: 0xffff,
      source3: 0x64400001,
      sourcePort: 61000,
      timestampDelta: 125,
      flags: FLAG_TCP | FLAG_DF,
      optionMask: OPTION_MASK.MSS | OPTION_MASK.SACK,
      optionLayout: 0o53,
      typeOfService: 2,
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
      probe: 'tcp-syn',
      state: 'open',
      success: true,
      tcpopt_layout: 'mss,sok',
      ip_df: true,
      tos: 2,
      ecn: 2,
      data: null,
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
    const classification = CODE.ICMP;
    const batch = batchOf({
      classification,
      flags: FLAG_ICMP | FLAG_ERROR,
      responder2: 0xffff,
      responder3: 0x0a090807,
      icmpType: 3,
      icmpCode: 13,
    });
    expect(named(batch)).toMatchObject({
      classification: 'icmp',
      state: 'filtered',
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

  test('has the requested fields; a request for an unknown one is a fault that lists the known ones', () => {
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
  test('that cannot be written causes a fault that names it', async () => {
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
