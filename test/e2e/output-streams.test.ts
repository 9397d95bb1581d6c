/** Rows and messages in pipes: slow readers, readers that leave early, full devices; and signals. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { scratch, surveyIn } from '../support/scan.js';
import { shell } from '../support/shell.js';

const ROWS = 32_768;
const isRoot = process.getuid?.() === 0;
const SCAN =
  '$T scan 127.70.0.0/17 -p 81 --allow-special 127.0.0.0/8 --rows all -r 40k -c 300ms -q';

let folder: Awaited<ReturnType<typeof scratch>>;
let survey: string;

beforeAll(async () => {
  folder = await scratch();
  if (!isRoot) return;
  const { code, stderr } = await shell(`${SCAN} -o rows.csv --data data`, folder.path);
  expect([code, stderr]).toEqual([EXIT.DONE, '']);
  survey = await surveyIn(`${folder.path}/data`);
}, 60_000);
afterAll(() => folder[Symbol.asyncDispose]());

/** Commands with much output, and their number of lines. */
const LONG: readonly (readonly [name: string, line: string, lines: number])[] = [
  ['results as csv', '$T results $S -f saddr,position', ROWS + 1],
  ['results as ndjson', "$T results $S -O ndjson -f '*'", ROWS],
  ['query as ndjson', "$T query $S 'SELECT * FROM results' -O ndjson", ROWS],
  ['query as csv', "$T query $S 'SELECT * FROM results' -O csv", ROWS + 1],
  ['scan --dryrun', '$T scan -d 127.70.0.0/17 -p 81 --allow-special 127.0.0.0/8', ROWS],
];
/** Commands with little output. */
const SHORT: readonly (readonly [name: string, line: string])[] = [
  ['verify', '$T verify $S'],
  ['verify --json', '$T verify $S --json'],
  ['plan', '$T plan 127.70.0.0/17 -p 81 --allow-special 127.0.0.0/8'],
  ['query as a table', "$T query $S 'SELECT count(*) FROM results'"],
  ['help', '$T --help'],
  ['help of a command', '$T scan --help'],
  ['the version', '$T --version'],
];
const EACH = [...LONG, ...SHORT].map(([name, line]) => [name, line] as const);
const run = (line: string) => shell(line, folder.path, { S: survey });

describe.skipIf(!isRoot)('a reader', () => {
  test.each(LONG)(
    'that is slow gets every line of %s',
    async (_, line, lines) => {
      const slow = `${process.execPath} -e '
      let n = 0;
      process.stdin.on("data", (text) => {
        for (const octet of text) if (octet === 10) n++;
        process.stdin.pause();
        setTimeout(() => process.stdin.resume(), 3);
      }).on("end", () => console.log(n));'`;
      const { stdout, stderr } = await run(`${line} | ${slow}; echo \${PIPESTATUS[0]}`);
      expect([stdout.trim().split('\n'), stderr]).toEqual([[`${lines}`, '0'], '']);
    },
    60_000,
  );

  test.each(LONG)(
    'that leaves after two lines ends %s quietly',
    async (_, line) => {
      const { stdout, stderr } = await run(`${line} | head -2; echo \${PIPESTATUS[0]} >&2`);
      expect(stdout.trim().split('\n')).toHaveLength(2);
      expect(stderr).toMatch(/^(0|130|141)\n$/);
    },
    60_000,
  );

  test.each(EACH)(
    'that is a full device ends %s with an error',
    async (_, line) => {
      const { code, stderr } = await run(`${line} > /dev/full`);
      expect(stderr).toMatch(/^transect: cannot write to standard output: ENOSPC/);
      expect([code, stderr.trim().split('\n').length]).toEqual([EXIT.NO_OUTPUT, 1]);
    },
    60_000,
  );

  test('that leaves early ends a scan cleanly: probes in flight are settled and stored', async () => {
    const line = `${SCAN.replace('40k', '4k')} --data left | head -3; echo \${PIPESTATUS[0]} >&2`;
    const { stdout, stderr } = await run(line);
    expect(stdout.trim().split('\n')).toHaveLength(3);
    expect(stderr).toBe('130\n');
    const verified = await run('$T verify left/*');
    expect(verified.stdout).toMatch(/result +sound/);
    expect(verified.stdout).not.toMatch(/FAULT/);
  }, 60_000);
});

describe.skipIf(!isRoot)('stderr that is closed or full', () => {
  test.each(EACH)(
    'does not prevent %s from finishing',
    async (_, line) => {
      const whole = await run(line);
      const without = await run(`${line} 2>&-`);
      const full = await run(`${line} 2>/dev/full`);
      expect(whole.code).toBe(0);
      expect([without.code, full.code]).toEqual([0, 0]);
      expect(without.stdout.length).toBe(whole.stdout.length);
      expect(full.stdout.length).toBe(whole.stdout.length);
    },
    60_000,
  );
});

describe.skipIf(!isRoot)('a signal', () => {
  const begun = (signal: string, before = '') =>
    `${before} ${SCAN.replace('40k', '2k')} --data sig-$$ -o sig-$$.csv & P=$!; sleep 3; kill -${signal} $P; wait $P; echo $?`;

  test.each(['INT', 'TERM', 'HUP'])(
    'SIG%s ends a scan cleanly',
    async (signal) => {
      const { stdout } = await run(`set -m; ${begun(signal)}; $T verify sig-*`);
      expect(stdout).toMatch(/^130\n/);
      expect(stdout).not.toMatch(/FAULT/);
    },
    60_000,
  );

  test('SIGHUP is ignored under nohup', async () => {
    const line = SCAN.replace('40k', '8k');
    const { stdout } = await run(
      `nohup ${line} --data nohup -o nohup.csv 2>/dev/null & P=$!; sleep 2; kill -HUP $P; wait $P; echo $?`,
    );
    expect(stdout).toBe('0\n');
    expect((await run('wc -l < nohup.csv')).stdout.trim()).toBe(`${ROWS + 1}`);
  }, 60_000);

  test('that is repeated ends a scan within seconds even if the disk is full', async () => {
    const { stdout, stderr } = await run(`
      mkdir small && mount -t tmpfs -o size=200k tmpfs small || exit 1
      trap 'umount small' EXIT
      set -m; ${SCAN.replace('40k', '8k')} --data small -o small/rows.csv & P=$!
      sleep 6; kill -INT $P; sleep 0.5; S=$(date +%s); kill -INT $P; wait $P
      echo "$? $(( $(date +%s) - S ))"`);
    expect(stdout, stderr).toMatch(/^(130|131) [0-5]\n/);
  }, 60_000);
});

test('leftovers of dead runs in the temporary folder are removed by the next run', async () => {
  const { stdout, stderr } = await run(`
    export TMPDIR=$PWD/tmp; mkdir -p tmp
    $T results $S -f saddr >/dev/null; ls tmp | wc -l
    mkdir tmp/transect-nats-4194303-abcdef tmp/transect-nats-$$-abcdef tmp/other
    $T plan 127.70.0.0/17 -p 81 --allow-special 127.0.0.0/8 > /dev/null
    ${isRoot ? `${SCAN.replace('/17', '/28')} --data swept > /dev/null` : ''}
    ls tmp`);
  expect(stderr).toBe('');
  expect(stdout).not.toMatch(/transect-nats-4194303/);
  expect(stdout).toMatch(/other/);
}, 60_000);
