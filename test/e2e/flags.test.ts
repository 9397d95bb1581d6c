/** The flags of other scanners, as docs/flags.md translates them. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const ROOT = new URL('../..', import.meta.url).pathname;
const SECONDS = 120_000;
const AT_ONCE = 2;

/** Rows of the tables: the other tool's flag and ours. */
const rows = readFileSync(`${ROOT}docs/flags.md`, 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, theirs = '', ours = '', remarks = '']) => ({ theirs, ours, remarks }));
const entries = rows.filter(({ ours }) => ours.startsWith('`'));

/** The words of a command line; words in double quotes may have spaces. */
const wordsOf = (text: string) =>
  [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

describe('the flags of docs/flags.md', () => {
  const outcomes = new Map<string, string>();

  beforeAll(async () => {
    const left = [...new Set(entries.map(({ ours }) => ours))];
    const work = async () => {
      for (let ours = left.pop(); ours !== undefined; ours = left.pop()) {
        const words = wordsOf(ours.replaceAll('`', ''));
        const hasPorts = words.includes('-p') || words.includes('icmp-echo');
        const flags = [
          '--dryrun',
          '--allow-special',
          '127.0.0.0/8',
          ...(hasPorts ? [] : ['-p', '80']),
        ];
        const outcome = await run(
          `${ROOT}transect`,
          ['scan', '127.77.0.0/30', ...flags, ...words],
          {
            maxBuffer: 2 ** 26,
          },
        ).then(
          ({ stdout }) => (stdout.startsWith('127.77.0.') ? 'works' : `printed ${stdout}`),
          (error: { stderr: string }) => error.stderr,
        );
        outcomes.set(ours, outcome);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }, SECONDS);

  test.each(entries)('$theirs is $ours', ({ ours }) => {
    expect(outcomes.get(ours)).toBe('works');
  });

  test('each have an equivalent in transect, or a reason why there is none', () => {
    expect(rows.length).toBeGreaterThan(80);
    for (const { theirs, ours, remarks } of rows) {
      if (['zmap', 'masscan', 'nmap'].includes(theirs)) continue;
      expect(ours !== '' || remarks !== '', theirs).toBe(true);
    }
  });
});
