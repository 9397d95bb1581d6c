/** `plan` and `scan --dryrun`: what they report before a packet is sent. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { scratch, start } from '../support/scan.js';

let folder: Awaited<ReturnType<typeof scratch>>;
beforeAll(async () => {
  folder = await scratch();
});
afterAll(() => folder[Symbol.asyncDispose]());

const run = (...args: string[]) => start('transect', args, folder.path).outcome;
const planOf = async (...args: string[]) => {
  const { code, stdout, stderr } = await run('plan', ...args, '--json');
  expect([code, stderr]).toEqual([EXIT.DONE, '']);
  return JSON.parse(stdout);
};

describe('transect plan', () => {
  test('counts targets, exclusions by registry entry, shards, time and bandwidth', async () => {
    const plan = await planOf('0.0.0.0/0', '-p', '443', '-r', '1M', '-e', '7');
    expect(plan).toMatchObject({ addresses: 3702258432, targets: 3702258432 });
    expect(plan).toMatchObject({ probes: ['tcp-syn'], probesPerTarget: 1 });
    expect(plan.exclusions).toHaveLength(15);
    expect(plan.exclusions[0].reason).toBe('0.0.0.0/8 This network (RFC 791 §3.2)');
    expect(plan.shards).toBe(Math.ceil(plan.targets / plan.shardLength));
    expect(plan.durationMillis).toBeCloseTo(3702258.432 + 8000, 0);
    expect(plan.bitsPerSecond).toBe(84 * 8 * 1e6);
    expect(plan.peaks.per24).toBeCloseTo((256 / 3702258432) * 1e6, 6);
    expect(plan.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test('prints the same plan hash for the same request, and another for another seed', async () => {
    const words = ['9.9.9.0/24', '8.8.8.0/24', '-p', '80,443'];
    const { hash } = await planOf(...words, '-e', '7');
    expect((await planOf('8.8.8.0/24', '9.9.9.0/24', '-p', '443,80', '-e', '7')).hash).toBe(hash);
    expect((await planOf(...words, '-e', '8')).hash).not.toBe(hash);
  });

  test('warns when one network would get many probes, and names a rate that avoids it', async () => {
    const plan = await planOf('9.9.9.0/24', '9.9.10.0/24', '-p', '80', '-r', '10k');
    expect(plan.peaks).toMatchObject({ per24: 5000, per16: 10000 });
    expect(plan.warnings).toEqual([expect.stringContaining('-r 200 it would see 100')]);
    expect((await planOf('9.9.9.0/24', '9.9.10.0/24', '-p', '80', '-r', '200')).warnings).toEqual(
      [],
    );
  });

  test('lowers the rate to the cap per network', async () => {
    const { stdout, stderr } = await run(
      ...['plan', '9.9.9.0/24', '-p', '80', '-r', '10k', '--max-rate-per-24', '50', '--json'],
    );
    expect(JSON.parse(stdout)).toMatchObject({ rate: 50, peaks: { per24: 50 } });
    expect(stderr).toMatch(/slowed to 50\/s/);
    const alone = ['2600:1::/112', '-p', '80', '-r', '10k', '--json'];
    const discovery = await run('plan', ...alone);
    expect(JSON.parse(discovery.stdout)).toMatchObject({ rate: 100, peaks: { per64: 100 } });
    expect(discovery.stderr).toMatch(
      /slowed to 100\/s: at most 100\/s go to unlisted addresses of a \/64/,
    );
    const own = await run('plan', ...alone, '--max-rate-per-64', '5k');
    expect(JSON.parse(own.stdout)).toMatchObject({ rate: 5000 });
    const six = ['2600:1::/44-64', '-p', '80', '-r', '10k', '--max-rate-per-48', '50'];
    expect(JSON.parse((await run('plan', ...six, '--json')).stdout)).toMatchObject({ rate: 800 });
  });

  test('says how many fewer frames fit a link because of a TCP option layout, and gives the hit rate of that layout', async () => {
    const lines = async (probe: string) =>
      (await run('plan', '9.9.9.0/24', '-p', '80', '-M', probe)).stdout;
    expect(await lines('tcp-syn:layout=linux')).toMatch(
      /frames +tcp-syn: 98 octets, so 14 % fewer fit a link; layout linux: 1\.330 % .* gives rtt_ms/,
    );
    expect(await lines('tcp-syn')).toMatch(/frames +tcp-syn: layout mss: 1\.328 % .*; no rtt_ms/);
    expect(await lines('tcp-fin')).not.toMatch(/frames/);
  });

  test('applies the rate cap per /64 to hitlists and pairs', async () => {
    await writeFile(join(folder.path, 'same64.txt'), '[2600:1::1]:80\n[2600:1::2]:80\n');
    await writeFile(
      join(folder.path, 'same64.yaml'),
      'targets:\n  - pairs: same64.txt\nrate: 1000\nmaxRatePer64: 10\n',
    );
    const { stdout } = await run('plan', 'same64.yaml', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ rate: 10, peaks: { per64: 10 } });
  });

  test('takes IPv6 windows, hitlists and pairs from a survey file, and reports bad lines', async () => {
    const write = (name: string, text: string) => writeFile(join(folder.path, name), text);
    await write('hits.txt', '2600:9::1\nnonsense\n2600:9::2\n2600:9::1\n');
    await write('pairs.txt', '9.9.9.9:53\n[2600:9::1]:8443\n');
    await write(
      'six.yaml',
      'targets:\n  - "2600:1::/32-40@low:2"\n  - hitlist: hits.txt\n  - pairs: pairs.txt\nports: 80,443\nseed: 7\n',
    );
    const { stdout, stderr } = await run('plan', 'six.yaml', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ addresses: 514, targets: 1030 });
    expect(stderr).toMatch(/hits\.txt: skipped 1 unreadable line: 2/);
  });
});

describe('transect scan --dryrun', () => {
  const dry = async (...args: string[]) => {
    const { code, stdout } = await run('scan', '--dryrun', ...args);
    expect(code).toBe(EXIT.DONE);
    return stdout.trim().split('\n');
  };

  test('prints each target once, in the seed’s order, whatever the number of agents', async () => {
    const words = ['9.9.0.0/20', '-p', '80,443', '-e', '7'];
    const lines = await dry(...words);
    expect(lines).toHaveLength(8192);
    expect(new Set(lines).size).toBe(8192);
    expect(lines.every((line) => /^9\.9\.\d+\.\d+,(80|443)$/.test(line))).toBe(true);
    expect(await dry(...words, '--agents', '5', '-r', '9')).toEqual(lines);
    expect(await dry(...words.slice(0, -1), '8')).not.toEqual(lines);
    expect(await dry(...words, '-n', '10')).toEqual(lines.slice(0, 10));
  });

  test('prints IPv6 too, and ends quietly when the reader leaves', async () => {
    const lines = await dry('2600:1::/32-64@random', '-p', '*', '-e', '7', '-n', '1000');
    expect(lines.every((line) => /^2600:1:[0-9a-f:]+,\d+$/.test(line))).toBe(true);
    const { execFileSync } = await import('node:child_process');
    const script = `${new URL('../../transect', import.meta.url).pathname} scan -d 9.0.0.0/8 -p 80 | head -1`;
    expect(execFileSync('bash', ['-o', 'pipefail', '-c', script]).toString()).toMatch(/^9\./);
  });
});

test('the values of text keys in a survey file are taken literally', async () => {
  await using folder = await scratch();
  const file = join(folder.path, 'survey.yaml');
  for (const seed of ['0123', '1e3', 'true', '0x10', '2024-01-01']) {
    const targets = 'targets: [127.1.0.0/28]\nallowSpecial: [127.0.0.0/8]\nports: 80\n';
    await writeFile(file, `${targets}seed: ${seed}\n`);
    const { stdout, stderr } = await start('transect', ['plan', file, '--json'], folder.path)
      .outcome;
    expect(stderr).toBe('');
    expect(JSON.parse(stdout).seed).toBe(seed);
  }
});
