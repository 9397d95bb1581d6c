/**
 * Access restrictions: users' SQL and requests for files reach nothing but the survey, and other users of the
 * host cannot log in to the broker of a scan.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isSurveyFile } from '../../coordinator/storage/folder-layout.js';
import { EXIT } from '../../shared/base/exit-codes.js';
import { scratch, surveyIn } from '../support/scan.js';
import { shell } from '../support/shell.js';

const isRoot = process.getuid?.() === 0;
const SCAN = '$T scan 127.76.0.0/26 -p 81 --allow-special 127.0.0.0/8 --rows all -c 300ms -q';

let folder: Awaited<ReturnType<typeof scratch>>;
let survey = '';
const run = (line: string, sql = '') => shell(line, folder.path, { S: survey, SQL: sql });

beforeAll(async () => {
  folder = await scratch();
  if (!isRoot) return;
  await writeFile(join(folder.path, 'secret.csv'), 'a,b\n1,2\n');
  await shell(`${SCAN} --data data -o rows.csv`, folder.path);
  survey = await surveyIn(join(folder.path, 'data'));
}, 60_000);
afterAll(() => folder[Symbol.asyncDispose]());

const WRITING: readonly string[] = [
  "COPY (SELECT 1) TO 'made.csv'",
  "EXPLAIN ANALYZE COPY (SELECT 1) TO 'made.csv'",
  "explain  analyse COPY (SELECT 1) TO 'made.csv'",
  "ATTACH 'made.db'",
  'CREATE TABLE t AS SELECT 1',
  'INSTALL httpfs',
  'LOAD httpfs',
  'SET enable_external_access=true',
  'PRAGMA enable_profiling',
  'SELECT 1; SELECT 2',
  'DROP VIEW results',
  '',
  ' ',
  ';',
];
const REACHING: readonly string[] = [
  "SELECT * FROM 'secret.csv'",
  "SELECT * FROM read_csv('secret.csv')",
  "SELECT * FROM read_text('/etc/passwd')",
  "SELECT * FROM read_blob('/etc/shadow')",
  "SELECT * FROM glob('/etc/*')",
  "SELECT * FROM 'http://127.0.0.1:1/x.csv'",
  "SELECT * FROM read_parquet('/proc/self/environ')",
];

describe.skipIf(!isRoot)('SQL of users', () => {
  test.each([...WRITING, ...REACHING])('is refused unless it only reads rows: %s', async (sql) => {
    const { code, stdout, stderr } = await run('$T query $S "$SQL"', sql);
    expect([code, stdout]).toEqual([EXIT.USAGE, '']);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(await readdir(folder.path)).not.toContain('made.csv');
    expect(await readdir(folder.path)).not.toContain('made.db');
  });

  test('in a filter is refused, too, unless it only reads rows', async () => {
    const filters = [
      "EXISTS (SELECT * FROM read_text('/etc/passwd'))",
      "true; COPY (SELECT 1) TO 'made.csv'",
      "true) TO 'made.csv' --",
    ];
    for (const filter of filters) {
      for (const how of ['', '-O parquet -o filtered']) {
        const { code, stderr } = await run(`$T results $S --filter "$SQL" ${how}`, filter);
        expect([filter, code]).toEqual([filter, EXIT.USAGE]);
        expect(stderr).toContain('--filter');
      }
    }
    expect(await readdir(folder.path)).not.toContain('made.csv');
  }, 60_000);

  test('may use random functions, and each row is tested once', async () => {
    const { code, stderr } = await run('$T results $S --filter "random() < 0.5"');
    expect([code, stderr]).toEqual([EXIT.DONE, '']);
  });

  test('may use all of DuckDB on request', async () => {
    const { stdout } = await run(`$T query --unsafe $S "SELECT * FROM 'secret.csv'" -O csv`);
    expect(stdout).toBe('a,b\n1,2\n');
  });
});

describe('files of a survey that may be requested', () => {
  test.each(['survey.json', 'space.bin', 'rules.bin', 'journal.ndjson', 'manifest.json'])(
    'are %s',
    (name) => {
      expect(isSurveyFile(name)).toBe(true);
    },
  );

  test.each([
    '../survey.json',
    '/etc/passwd',
    'segments/../../../etc/passwd',
    'segments/000000001.parquet/..',
    'segments/000000001.parquet\n',
    'segments/000000001.exe',
    'segments//000000001.csv',
    'SURVEY.JSON',
    'survey.json\u0000',
    './survey.json',
    '',
    '.',
  ])('are not %j', (name) => {
    expect(isSurveyFile(name)).toBe(false);
  });
});

describe.skipIf(!isRoot)('the broker of a scan', () => {
  test('refuses clients without a login, and only the user of the scan can read the login', async () => {
    const scanning = run(`${SCAN.replace('/26', '/20')} -r 500 -t 6s --data other > /dev/null`);
    const mine = () => {
      for (const name of readdirSync(tmpdir())) {
        if (!name.startsWith('transect-nats-')) continue;
        const path = join(tmpdir(), name);
        const pid = Number(name.split('-')[2]);
        const cwd = () => readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        try {
          if (!cwd().includes('127.76.0.0/20')) continue;
          const ports = readdirSync(path).find((each) => each.endsWith('.ports'));
          if (ports === undefined) continue;
          const { nats } = JSON.parse(readFileSync(join(path, ports), 'utf8'));
          return { path, url: nats[0] as string, pid };
        } catch {}
      }
      return undefined;
    };
    let found: ReturnType<typeof mine>;
    for (let i = 0; i < 200 && found === undefined; i++) {
      found = mine();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (found === undefined) throw new Error('no broker');
    const { path, url, pid } = found;
    expect(statSync(path).mode & 0o077).toBe(0);
    expect(statSync(join(path, 'nats.conf')).mode & 0o077).toBe(0);
    const [, password = ''] =
      /password: "(\w+)"/.exec(readFileSync(join(path, 'nats.conf'), 'utf8')) ?? [];
    expect(password.length).toBeGreaterThan(20);
    for (const each of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      let line = '';
      try {
        line = readFileSync(`/proc/${each}/cmdline`, 'utf8');
      } catch {}
      expect(line).not.toContain(password);
    }
    expect(pid).toBeGreaterThan(0);
    const { stderr, code } = await run(`$T status --nats ${url}`);
    expect([code, /requires a login/.test(stderr)]).toEqual([EXIT.NO_BROKER, true]);
    await scanning;
  }, 60_000);
});
