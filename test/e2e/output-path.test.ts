/** Output paths: `-o` of every command and format, for every kind of path. */
import { lstat, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { scratch, surveyIn } from '../support/scan.js';
import { shell } from '../support/shell.js';

const isRoot = process.getuid?.() === 0;
const SCAN = '$T scan 127.71.0.0/24 -p 81 --allow-special 127.0.0.0/8 --rows all -r 5k -c 300ms -q';
const ROWS = 256;

let folder: Awaited<ReturnType<typeof scratch>>;
let survey: string;
const at = (name: string) => join(folder.path, name);
const run = (line: string) => shell(line, folder.path, { S: survey });

beforeAll(async () => {
  folder = await scratch();
  if (!isRoot) return;
  const { stderr } = await shell(`${SCAN} -o rows.csv --data data`, folder.path);
  expect(stderr).toBe('');
  survey = await surveyIn(at('data'));
}, 60_000);
afterAll(() => folder[Symbol.asyncDispose]());

/** The messages on stderr, without the one that says where the stored rows are. */
const said = (stderr: string) => stderr.replace(/^the rows stored so far are in .*\n/, '');

const FORMATS = ['csv', 'ndjson', 'parquet'];
const COMMANDS: readonly (readonly [string, string])[] = [
  ...FORMATS.map((format) => [`results as ${format}`, `$T results $S -O ${format}`] as const),
  ...FORMATS.map((format) => [`scan as ${format}`, `${SCAN} --data again -O ${format}`] as const),
];

describe.skipIf(!isRoot).each(COMMANDS)('%s', (name, line) => {
  const rowsIn = async (file: string) => {
    const text = await readFile(at(file));
    if (text.subarray(0, 4).toString() === 'PAR1') return ROWS; // not counted: DuckDB reads it later
    const lines = text.toString().trim().split('\n').length;
    return name.includes('csv') ? lines - 1 : lines;
  };

  test('creates a file, or replaces an existing one', async () => {
    for (const file of ['new', 'old']) {
      if (file === 'old') await writeFile(at('old'), 'x'.repeat(1_000_000));
      const { code, stderr } = await run(`rm -f new; ${line} -o ${file}`);
      expect([code, said(stderr)]).toEqual([EXIT.DONE, '']);
      expect(await rowsIn(file)).toBe(ROWS);
    }
    expect((await readdir(folder.path)).filter((each) => each.includes('.part'))).toEqual([]);
  });

  test('leaves a device unchanged', async () => {
    const { code, stderr } = await run(`rm -f null; mknod null c 1 3; ${line} -o null`);
    expect([code, said(stderr)]).toEqual([EXIT.DONE, '']);
    const found = await lstat(at('null'));
    expect([found.isCharacterDevice(), found.rdev]).toEqual([true, 259]);
  });

  test('reports that a device is full', async () => {
    const { code, stderr } = await run(`rm -f full; mknod full c 1 7; ${line} -o full`);
    expect(stderr).toMatch(/^transect: .*full.*(no space left on device|ENOSPC)/i);
    expect([code, (await lstat(at('full'))).isCharacterDevice()]).toEqual([EXIT.NO_OUTPUT, true]);
  });

  test('follows links, to existing paths and to missing ones', async () => {
    for (const target of ['there', 'not-there']) {
      const make = 'rm -f link not-there; echo old > there';
      const { code, stderr } = await run(`${make}; ln -s ${target} link; ${line} -o link`);
      expect([code, said(stderr)]).toEqual([EXIT.DONE, '']);
      expect(await readlink(at('link'))).toBe(target);
      expect(await rowsIn(target)).toBe(ROWS);
    }
  });

  test('fails before any work if the output path cannot be written, and names the path', async () => {
    for (const path of ['data', 'rows.csv/below', 'loop']) {
      const begun = Date.now();
      const { code, stderr } = await run(`ln -sfn loop loop; ${line} -o ${path}`);
      expect([path, code, stderr.split('\n').length]).toEqual([path, EXIT.NO_OUTPUT, 2]);
      expect(stderr).toContain(path);
      expect(Date.now() - begun).toBeLessThan(20_000);
    }
  });
});

describe.skipIf(!isRoot)('rows', () => {
  test.each(['csv', 'ndjson'])('go through a named pipe as %s', async (format) => {
    const { stdout } = await run(
      `rm -f fifo; mkfifo fifo; cat fifo | wc -l & $T results $S -O ${format} -o fifo; wait; test -p fifo && echo pipe`,
    );
    expect(stdout).toBe(`${format === 'csv' ? ROWS + 1 : ROWS}\npipe\n`);
  });

  test('of parquet are readable by DuckDB', async () => {
    const { stdout } = await run(
      `$T results $S -O parquet -o out.parquet && $T query --unsafe $S "SELECT count(*) AS n FROM 'out.parquet'" -O csv`,
    );
    expect(stdout).toBe(`n\n${ROWS}\n`);
  });

  test.each([
    ['results', '$T results $S'],
    ['scan', `${SCAN} --data again`],
  ])('of %s go to stdout for `-o -`, and no file named - is created', async (_, line) => {
    const { stdout } = await run(`${line} -f saddr -o - | wc -l; ls | grep -cx -- -`);
    expect(stdout).toBe(`${ROWS + 1}\n0\n`);
  });

  test.each(['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1', 'to-stdout'])(
    'written to %s are appended at the position of stdout',
    async (path) => {
      const { stdout } = await run(
        `ln -sfn /dev/stdout to-stdout; { echo before; $T results $S -f saddr -o ${path} 2>/dev/null; echo after; } > file; wc -l < file; head -1 file; tail -1 file`,
      );
      expect(stdout).toBe(`${ROWS + 3}\nbefore\nafter\n`);
    },
  );

  test('cannot be written to a descriptor that is not open, which is reported at once', async () => {
    const { code, stderr } = await run('$T results $S -o /dev/fd/987');
    expect(stderr).toContain('/dev/fd/987');
    expect(code).toBe(EXIT.NO_OUTPUT);
  });

  test('cannot be stored where no folder can be created, which is reported at once', async () => {
    const { code, stderr } = await run(`${SCAN} --data /proc/no-such-folder`);
    expect(stderr).toContain('/proc/no-such-folder');
    expect(code).toBe(EXIT.NO_OUTPUT);
  });

  test('leave no temporary file beside the output, and no other file is changed', async () => {
    // Temporary files are created exclusively, so that another user's link in their place is not followed.
    const { stdout } = await run(
      'mkdir -p theirs; echo secret > victim; $T results $S -o theirs/rows.csv; ls theirs; cat victim',
    );
    expect(stdout).toBe('rows.csv\nsecret\n');
  });
});
