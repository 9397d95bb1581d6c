/** Lists are read directly from octets; any text gives the same result as when it is read line by line as text. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HitlistReader } from '../../../shared/survey/lists/hitlist.js';
import { readListFile } from '../../../shared/survey/lists/list-file.js';
import type { ListReader } from '../../../shared/survey/lists/list-reader.js';
import { PairListReader } from '../../../shared/survey/lists/pair-list.js';
import { RuleListReader } from '../../../shared/survey/lists/rule-list.js';
import { TargetListReader } from '../../../shared/survey/lists/target-list.js';
import { anyList } from '../../support/list-texts.js';
import { readAll } from '../../support/lists.js';

/** Everything that a reader knows after it has read a list, or its fault. */
function outcomeOf(reader: ListReader, read: () => void): unknown {
  try {
    read();
  } catch (error) {
    const { code, details, message } = error as { code: string; details: object; message: string };
    return { code, details, message };
  }
  if (reader instanceof HitlistReader) {
    const { list, badCount, badLines } = reader;
    return { ipv4: [...list.ipv4.words], ipv6: [...list.ipv6.words], badCount, badLines };
  }
  if (reader instanceof PairListReader) {
    const { list, badCount, badLines } = reader;
    return { pairs: [...list.words], badCount, badLines };
  }
  if (reader instanceof RuleListReader) {
    const { ranges, rangeLines, prefixes, prefixLines } = reader.list;
    return [ranges, rangeLines, prefixes, prefixLines].map(({ words }) => [...words]);
  }
  const { list } = reader as TargetListReader;
  return {
    ranges: [...list.ranges.words],
    rangesAt: Array.from({ length: list.ranges.size }, (_, i) => list.locationOfRange(i)),
    addresses: [...list.addresses.words],
    addressesAt: Array.from({ length: list.addresses.size }, (_, i) => list.locationOfAddress(i)),
    windows: list.windows.map(({ window, location }) => [window.text, location]),
  };
}

/** The same reader, for which no line has the usual form. */
function asText<Reader extends ListReader>(reader: Reader): Reader {
  return Object.assign(reader, { readUsual: () => -1 });
}

const READERS = [
  ['targets', () => new TargetListReader('list')],
  ['block rules', () => new RuleListReader('list')],
  ['a hitlist', () => new HitlistReader('list')],
  ['pairs', () => new PairListReader('list')],
] as const;

describe.each(READERS)('a list of %s', (_name, open: () => ListReader) => {
  test('is read from its octets as it is read from its text', () => {
    fc.assert(
      fc.property(anyList, (text) => {
        const [fast, plain] = [open(), asText(open())];
        const expected = outcomeOf(plain, () => readAll(plain, text));
        expect(outcomeOf(fast, () => readAll(fast, text))).toEqual(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test('is the same however its octets are divided into blocks', () => {
    fc.assert(
      fc.property(anyList, fc.array(fc.nat({ max: 7 })), (text, lengths) => {
        const octets = Buffer.from(text);
        const [whole, divided] = [open(), open()];
        const expected = outcomeOf(whole, () => readAll(whole, text));
        const outcome = outcomeOf(divided, () => {
          let at = 0;
          for (const length of lengths) {
            divided.add(octets.subarray(at, at + length));
            at += length;
          }
          divided.add(octets.subarray(at));
          divided.finish();
        });
        expect(outcome).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('with a line that is too long is rejected, so that no other file is taken for a list', () => {
    const reader = open();
    const block = Buffer.alloc(1 << 18, '1');
    expect(() => {
      for (let i = 0; i < 5; i++) reader.add(block);
    }).toThrow(expect.objectContaining({ code: 'BAD_LIST', details: { file: 'list', line: 1 } }));
  });
});

describe('a list file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'transect-lists-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const read = async (name: string, content: Uint8Array) => {
    const file = join(folder, name);
    await writeFile(file, content);
    const reader = new HitlistReader(file);
    await readListFile(reader, file, '-I');
    return reader;
  };
  const lines = Array.from({ length: 100_000 }, (_, i) => `192.0.${i % 256}.${i % 251}`);

  test('is recognised as gzip by its content, in one or several members', async () => {
    const whole = gzipSync(lines.join('\n'));
    expect((await read('one', whole)).list.size).toBe(100_000);
    const parts = [gzipSync('192.0.2.1\n192.0.'), gzipSync('2.2\n')];
    expect((await read('two', Buffer.concat(parts))).list.size).toBe(2);
  });

  test('is read from a stream of small blocks, too', async () => {
    const reader = new HitlistReader('stdin');
    const blocks = (lines.join('\n').match(/[\s\S]{1,1000}/g) ?? []).map((text) =>
      Buffer.from(text),
    );
    await readListFile(reader, Readable.from(blocks), '-I');
    expect([reader.list.size, reader.badCount]).toEqual([100_000, 0]);
  });

  test('names its flag, whether the bad line ends with a line feed or not', async () => {
    for (const text of ['127.0.0.1\n127.0.0.300', '127.0.0.1\n127.0.0.300\n']) {
      const file = join(folder, 'bad');
      await writeFile(file, text);
      await expect(readListFile(new TargetListReader(file), file, '-w')).rejects.toMatchObject({
        code: 'BAD_LIST',
        details: { flag: '-w', file, line: 2, value: '127.0.0.300' },
      });
    }
  });

  test('that arrives octet by octet is recognised as gzip, too', async () => {
    const octets = [...gzipSync('192.0.2.1\n192.0.2.2\n')].map((octet) => Buffer.of(octet));
    const reader = new HitlistReader('stdin');
    await readListFile(reader, Readable.from(octets), '-I');
    expect(reader.list.size).toBe(2);
  });

  test('of pairs with a long run of spaces is read in no time', () => {
    const { badCount } = readAll(new PairListReader('list'), `a${' '.repeat(500_000)}b\n`);
    expect(badCount).toBe(1);
  });

  test('that is cut off or cannot be read is reported with its flag and name', async () => {
    const cut = gzipSync(lines.join('\n')).subarray(0, 5000);
    const fault = (file: string) => ({
      code: 'UNREADABLE_FILE',
      details: { flag: '-I', file: join(folder, file) },
    });
    await expect(read('cut', cut)).rejects.toMatchObject(fault('cut'));
    const missing = join(folder, 'missing');
    const reader = new HitlistReader(missing);
    await expect(readListFile(reader, missing, '-I')).rejects.toMatchObject(fault('missing'));
    const itself = new HitlistReader(folder);
    await expect(readListFile(itself, folder, '-I')).rejects.toMatchObject({
      code: 'UNREADABLE_FILE',
    });
  });
});
