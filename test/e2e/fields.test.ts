/** Every field, in every format, from every kind of segment; and the error if a segment is missing. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoredRows } from '../../coordinator/cli/stored/stored-rows.js';
import { FIELDS } from '../../coordinator/sink/fields.js';
import { sinkNamed } from '../../coordinator/sink/sink-registry.js';
import { readFolder } from '../../coordinator/storage/folder-layout.js';
import { systemDisk } from '../../shared/host/disk.js';
import type { Survey } from '../../shared/survey/survey.js';
import { scratch, surveyIn } from '../support/scan.js';
import { shell } from '../support/shell.js';

const isRoot = process.getuid?.() === 0;
const KINDS = ['parquet', 'csv', 'ndjson'];
const ROWS = 64;
const NAMES = FIELDS.map(({ name }) => name);

let folder: Awaited<ReturnType<typeof scratch>>;
const surveys = new Map<string, string>();
const run = (line: string, kind: string) =>
  shell(line, folder.path, { S: surveys.get(kind) ?? '' });

beforeAll(async () => {
  folder = await scratch();
  if (!isRoot) return;
  for (const kind of KINDS) {
    const flags = '-p 81 --allow-special 127.0.0.0/8 --rows all -r 5k -c 300ms -q';
    const layout = '--probe tcp-syn:layout=linux';
    const line = `$T scan 127.73.0.0/26 ${flags} ${layout} -O ${kind} -o ${kind}.rows --data ${kind}`;
    const { stderr } = await shell(line, folder.path);
    expect(stderr).toBe('');
    surveys.set(kind, await surveyIn(join(folder.path, kind)));
  }
}, 60_000);
afterAll(() => folder[Symbol.asyncDispose]());

describe.skipIf(!isRoot).each(KINDS)('from segments of %s', (kind) => {
  test('every field alone is written as csv and as ndjson, for every row', async () => {
    const path = surveys.get(kind) as string;
    const { survey } = await readFolder(systemDisk, path);
    for (const field of NAMES) {
      for (const name of ['csv', 'ndjson']) {
        const format = sinkNamed(name).text;
        if (format === undefined) throw new Error(name);
        let rows = 0;
        for await (const row of new StoredRows(path, survey as Survey).fresh({ fields: [field] })) {
          const text = format.line(row, [field], [0]);
          expect(text, field).toMatch(/^[^\n]*\n$/);
          if (name === 'ndjson') expect(Object.keys(JSON.parse(text))).toEqual([field]);
          rows++;
        }
        expect([field, rows]).toEqual([field, ROWS]);
      }
    }
  }, 60_000);

  test('all fields together have the same values in csv, ndjson and Parquet', async () => {
    const csv = (await run("$T results $S -f '*'", kind)).stdout.trim().split('\n');
    const ndjson = (await run("$T results $S -f '*' -O ndjson", kind)).stdout.trim().split('\n');
    expect(csv[0]).toBe(NAMES.join(','));
    expect([csv.length - 1, ndjson.length]).toEqual([ROWS, ROWS]);
    const asText = (value: unknown) => {
      if (typeof value === 'boolean') return value ? '1' : '0'; // as in ZMap
      return value === null ? '' : String(value);
    };
    const fromJson = ndjson.map((line) => {
      const row = JSON.parse(line) as Record<string, unknown>;
      return NAMES.map((name) => asText(row[name])).join(',');
    });
    expect(csv.slice(1)).toEqual(fromJson);
    const parquet = await run(
      `$T results $S -f '*' -O parquet -o ${kind}.parquet 2>/dev/null &&
       $T query --unsafe $S "SELECT position, saddr, classification FROM '${kind}.parquet' ORDER BY ALL" -O csv`,
      kind,
    );
    const stored = await run(
      '$T query $S "SELECT position, saddr, classification FROM results ORDER BY ALL" -O csv',
      kind,
    );
    expect(parquet.stdout).toBe(stored.stdout);
    expect(stored.stdout.trim().split('\n')).toHaveLength(ROWS + 1);
  }, 60_000);

  test('blank columns are empty, and the header row is left out on request', async () => {
    const { stdout } = await run('$T results $S -f saddr,blank,blank,sport --no-header-row', kind);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(ROWS);
    for (const line of lines) expect(line).toMatch(/^127\.73\.0\.\d+,,,81$/);
  }, 60_000);

  test('a missing segment is reported by every command that reads rows', async () => {
    const path = surveys.get(kind) as string;
    const copy = `${kind}-damaged`;
    await shell(`cp -r ${path} ${copy}`, folder.path);
    const [segment] = await readdir(join(folder.path, copy, 'segments'));
    await rm(join(folder.path, copy, 'segments', segment as string));
    for (const command of ['results', 'verify', 'query']) {
      const sql = command === 'query' ? "'SELECT * FROM results'" : '';
      const { code, stdout, stderr } = await shell(`$T ${command} ${copy} ${sql}`, folder.path);
      expect([command, code === 0]).toEqual([command, false]);
      expect(stdout + stderr).toMatch(/are missing|VIOLATION|no rows/);
    }
  }, 60_000);

  test('a journal that lost entries after the survey ended is a violation', async () => {
    const copy = `${kind}-emptied`;
    await shell(`cp -r ${surveys.get(kind)} ${copy}`, folder.path);
    await shell(`echo garbage > ${copy}/journal.ndjson; rm -r ${copy}/segments`, folder.path);
    const { code, stdout } = await shell(`$T verify ${copy}`, folder.path);
    expect(code).toBe(1);
    expect(stdout).toMatch(/the manifest has 64 covered targets, the journal 0/);
    await writeFile(join(folder.path, copy, 'manifest.json'), 'garbage');
    const damaged = await shell(`$T verify ${copy}`, folder.path);
    expect(damaged.code).toBe(1);
    expect(damaged.stderr).toMatch(/manifest\.json: the file is not a manifest/);
  }, 60_000);
});

describe.skipIf(!isRoot)('a scan', () => {
  test.each([1, 7, 10])(
    'limited to %i rows ends with exactly that many',
    async (most) => {
      const line = `$T scan 127.74.0.0/18 -p 81 --allow-special 127.0.0.0/8 --rows all -r 2k -c 300ms -q`;
      const { stdout, code } = await shell(
        `${line} -N ${most} --data many | tail -n +2; exit \${PIPESTATUS[0]}`,
        folder.path,
      );
      expect([code, stdout.trim().split('\n').length]).toEqual([0, most]);
      const survey = await surveyIn(join(folder.path, 'many'));
      const manifest = JSON.parse(await readFile(join(survey, 'manifest.json'), 'utf8'));
      expect(manifest.counts.probesSent ?? 0).toBeLessThan(4000); // not all 16,384
      await rm(join(folder.path, 'many'), { recursive: true });
    },
    60_000,
  );

  test('without replies still prints the header row, unless that is turned off', async () => {
    const line = '$T scan 127.75.0.0/30 -p 81 --allow-special 127.0.0.0/8 -c 300ms -q --data none';
    expect((await shell(line, folder.path)).stdout).toBe('saddr\n');
    expect((await shell(`${line} --no-header-row`, folder.path)).stdout).toBe('');
  }, 60_000);
});
