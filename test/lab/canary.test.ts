/** Canaries among the targets of a survey with a real agent, and rows that somebody has made up. */
import { createWriteStream, existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CanaryResult } from '../../coordinator/evidence/canary-check.js';
import { type Host, Lab, labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const TARGETS = '198.18.4.0/22';
const CANARIES = ['198.18.5.0/25', '2001:db8:77::/64'];
const IPV6 = '2001:db8:77::/121';

describe.skipIf(labIsMissing())('canaries', () => {
  let lab: Lab;
  let folder: string;
  let prober: Host;
  let target: Host;
  let survey: string;
  let log: string;
  let secret: string;
  const canary = (...args: string[]) => prober.run(TRANSECT, 'canary', ...args);
  const prefixes = CANARIES.flatMap((prefix) => ['--prefix', prefix]);

  beforeAll(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-canary-'));
    log = join(folder, 'canary.ndjson');
    secret = join(folder, 'secret');
    await writeFile(secret, `${'c0ffee11'.repeat(8)}\n`, { mode: 0o600 });
    prober = await lab.host('prober');
    target = await lab.host('target');
    // Its kernel must not report that it does not forward.
    await target.ip('-6', 'route', 'replace', 'blackhole', '2001:db8:77::/64');
    await prober.routeVia(TARGETS, target);
    await prober.routeVia('2001:db8:77::/64', target);
    const serving = target.start(
      ...[TRANSECT, 'canary', 'serve', ...prefixes, '--secret', secret, '-i', 'eth0'],
    );
    serving.child.stdout?.pipe(createWriteStream(log));
    await serving.says(/answering/);
    const flags = ['-p', '80,443', '--rows', 'all', '-r', '2k', '-c', '1s', '-O', 'csv'];
    const allowed = ['--allow-special', '198.18.0.0/15', '--allow-special', '2001:db8::/32'];
    const data = join(folder, 'data');
    const places = ['--data', data, '-o', join(folder, 'rows.csv'), '-q'];
    await prober.run(TRANSECT, 'scan', TARGETS, IPV6, ...flags, ...allowed, ...places);
    const [id = ''] = (await readdir(data)).filter(
      (name) => !name.includes('.') && name !== 'term',
    );
    survey = join(data, id);
  }, 60_000);

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const checked = async (place: string, ...more: string[]) => {
    const asked = ['check', place, ...prefixes, '--secret', secret, '--json', ...more];
    const { code = 0, stdout } = await canary(...asked).catch((error) => error);
    const [result] = Object.values(JSON.parse(stdout)) as CanaryResult[];
    return { code: code as number, ...(result as CanaryResult) };
  };

  test('answer each target by the secret, and an honest agent is right about all of them', async () => {
    const answered = (await readFile(log, 'utf8')).trim().split('\n');
    expect(answered).toHaveLength(2 * 128 + 2 * 128);
    const result = await checked(survey, '--log', log);
    expect(result).toEqual({ code: 0, right: 512, madeUp: 0, missed: 0, unprobed: 0 });
    expect(await checked(survey)).toEqual(result);
  });

  test('show about half of the rows of another secret as made up', async () => {
    const other = join(folder, 'other');
    await writeFile(other, `${'12345678'.repeat(8)}\n`);
    const result = await checked(survey, '--secret', other);
    expect(result.code).toBe(1);
    expect(result.madeUp).toBeGreaterThan(180);
    expect(result.madeUp).toBeLessThan(332);
  });

  test('show rows that were removed, and probes that never arrived', async () => {
    const copy = join(folder, 'copy');
    await cp(survey, copy, { recursive: true });
    for (const name of await readdir(join(copy, 'segments'))) {
      const file = join(copy, 'segments', name);
      const lines = (await readFile(file, 'utf8')).split('\n');
      await writeFile(file, lines.filter((line) => !line.includes('198.18.5.7,')).join('\n'));
    }
    expect(await checked(copy)).toMatchObject({ code: 0, right: 510, missed: 2 });
    const short = join(folder, 'short.ndjson');
    const probes = (await readFile(log, 'utf8')).trim().split('\n').slice(10);
    await writeFile(short, `${probes.join('\n')}\n`);
    expect(await checked(survey, '--log', short)).toMatchObject({ right: 512, unprobed: 10 });
  });

  test('are no longer answered after the command was killed', async () => {
    const serving = target.start(
      ...[TRANSECT, 'canary', 'serve', ...prefixes, '--secret', secret, '-i', 'eth0'],
    );
    await serving.says(/answering/);
    const { pid = 0 } = serving.child;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    const agent = `/proc/${children.trim()}`;
    expect(await readFile(`${agent}/cmdline`, 'utf8')).toMatch(/agent\/main\.js\0canary/);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => existsSync(agent), { timeout: 5000 }).toBe(false);
  });

  test('are refused without a secret, with a bad one, and with a log of another kind', async () => {
    const refused = async (...args: string[]) =>
      (await canary('check', survey, ...prefixes, ...args).catch((error) => error)) as {
        code: number;
        stderr: string;
      };
    const missing = await refused('--secret', join(folder, 'none'));
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(/openssl rand -hex 32/);
    const wrong = join(folder, 'wrong');
    await writeFile(wrong, 'secret\n');
    expect((await refused('--secret', wrong)).stderr).toMatch(/64 hexadecimal digits/);
    const bad = join(folder, 'bad.ndjson');
    await writeFile(bad, '{"at":1}\n');
    expect((await refused('--secret', secret, '--log', bad)).stderr).toMatch(
      /bad\.ndjson(:|, line )1/,
    );
  });
});
