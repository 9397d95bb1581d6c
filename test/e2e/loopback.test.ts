/** Scans of this machine’s own loopback: a real kernel, a real broker, real processes. */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { listenOn, type Run, scratch, start, surveyIn } from '../support/scan.js';

const OPEN = 18080;
const CLOSED = 18081;
const ADDRESSES = 65536;
const PORTS = `${OPEN},${CLOSED}`;
const LOOP = ['--allow-special', '127.0.0.0/8', '-p', PORTS, '--rows', 'all'];

let listener: Disposable;
beforeAll(async () => {
  listener = await listenOn(OPEN);
});
afterAll(() => listener[Symbol.dispose]());

const rowsIn = async (file: string) => (await readFile(file, 'utf8')).trim().split('\n').slice(1);
const manifestIn = async (folder: string) => {
  const file = join(await surveyIn(join(folder, 'transect-data')), 'manifest.json');
  return JSON.parse(await readFile(file, 'utf8'));
};
/** Child processes of a run that still exist. */
const childrenOf = (run: Run) => {
  try {
    return execFileSync('pgrep', ['-P', String(run.child.pid)]).toString();
  } catch {
    return '';
  }
};

function expectExact(rows: readonly string[]): void {
  expect(rows).toHaveLength(2 * ADDRESSES);
  expect(new Set(rows).size).toBe(2 * ADDRESSES);
  expect(rows.filter((row) => row.endsWith(`,${OPEN},synack`))).toHaveLength(ADDRESSES);
  expect(rows.filter((row) => row.endsWith(`,${CLOSED},rst`))).toHaveLength(ADDRESSES);
}

/** A UDP service that answers from a different address than the one to which requests are sent. */
async function answerFromElsewhere(port: number): Promise<Disposable> {
  const [ear, mouth] = [createSocket('udp4'), createSocket('udp4')];
  await new Promise<void>((resolve) => ear.bind(port, '127.77.1.5', resolve));
  await new Promise<void>((resolve) => mouth.bind(port, '127.77.1.9', resolve));
  ear.on('message', (octets, { port: from, address }) => mouth.send(octets, from, address));
  return {
    [Symbol.dispose]() {
      ear.close();
      mouth.close();
    },
  };
}

describe('transect scan on loopback', () => {
  test('counts answers from other addresses apart, and accepts them with any-address=yes', async () => {
    await using folder = await scratch();
    using _service = await answerFromElsewhere(18_090);
    const probe = 'udp:payload=hex:01****02,echo=1';
    const scan = (options: string) => {
      const fields = ['-f', 'saddr,sport,classification,reply_saddr'];
      const flags = ['-p', '18090', '-c', '1s', '--rows', 'successes', ...fields, '-M', options];
      const args = ['scan', '127.77.1.5', '--allow-special', '127.0.0.0/8', ...flags];
      return start('transect', args, folder.path).outcome;
    };
    const counted = await scan(probe);
    expect(counted.stdout.trim().split('\n')).toHaveLength(1);
    expect(counted.stderr).toMatch(/elsewhere +UDP answers 1 from other addresses/);
    const accepted = await scan(`${probe},any-address=yes`);
    expect(accepted.stdout).toContain('127.77.1.5,18090,udp,127.77.1.9');
    expect(accepted.stderr).not.toContain('elsewhere');
  }, 60_000);

  test('finds every address of a /16 on an open and a closed port, each once', async () => {
    await using folder = await scratch();
    const flags = ['-r', '50000', '--agents', '2', '-c', '1s', '-o', 'out.csv'];
    const fields = ['-f', 'saddr,sport,classification'];
    const args = ['scan', '127.77.0.0/16', ...LOOP, ...flags, ...fields];
    const { code, stderr, stdout } = await start('transect', args, folder.path).outcome;
    expect(stderr).toMatch(/state +done/);
    expect([code, stdout]).toEqual([EXIT.DONE, '']);
    expectExact(await rowsIn(join(folder.path, 'out.csv')));
    const manifest = await manifestIn(folder.path);
    expect(manifest).toMatchObject({ state: 'done', complete: true, shardsIncomplete: [] });
    expect(manifest.counts).toMatchObject({
      probesSent: 131072,
      replied: { synack: ADDRESSES, rst: ADDRESSES, icmp: 0 },
    });
    expect(manifest.agents).toHaveLength(2);
  }, 60_000);

  test('writes rows to stdout as they arrive, in the requested format', async () => {
    await using folder = await scratch();
    const flags = ['-r', '5000', '-c', '3s', '-q', '-O', 'ndjson', '-f', 'saddr,sport,repeat'];
    const run = start('transect', ['scan', '127.78.0.0/24', ...LOOP, ...flags], folder.path);
    const startedAt = Date.now();
    const first = new Promise<number>((resolve) => {
      run.child.stdout?.once('data', () => resolve(Date.now() - startedAt));
    });
    const { code, stdout, stderr } = await run.outcome;
    const elapsed = Date.now() - startedAt;
    expect([code, stderr]).toEqual([EXIT.DONE, '']);
    expect(elapsed - (await first)).toBeGreaterThan(2500); // long before the row's shard was stored
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows).toHaveLength(512);
    expect(rows.every(({ repeat }) => repeat === false)).toBe(true);
    expect(new Set(rows.map(({ saddr, sport }) => `${saddr}:${sport}`)).size).toBe(512);
  }, 60_000);

  test('reports successes only by default, with ZMap’s default fields', async () => {
    await using folder = await scratch();
    const args = ['scan', '127.79.0.0/24', '--allow-special', '127.0.0.0/8', '-p', String(OPEN)];
    const { stdout } = await start('transect', [...args, '-r', '5000', '-c', '1s'], folder.path)
      .outcome;
    const rows = stdout.trim().split('\n');
    expect(rows[0]).toBe('saddr');
    expect(new Set(rows.slice(1)).size).toBe(256);
    const counts = (await manifestIn(folder.path)).counts;
    expect(counts).toMatchObject({ rowsStored: 256, replied: { synack: 256, rst: 0 } });
  }, 60_000);

  test('keeps to the given rate, all agents together', async () => {
    await using folder = await scratch();
    const flags = ['-r', '2000', '--agents', '3', '-c', '500ms', '-f', '*', '-q'];
    const args = ['scan', '127.80.0.0/20', ...LOOP, ...flags, '-o', 'out.csv'];
    expect((await start('transect', args, folder.path).outcome).code).toBe(EXIT.DONE);
    const rows = await rowsIn(join(folder.path, 'out.csv'));
    const header = (await readFile(join(folder.path, 'out.csv'), 'utf8'))
      .split('\n')[0]!
      .split(',');
    const [at, micros] = ['timestamp_ts', 'timestamp_us'].map((name) => header.indexOf(name));
    const times = rows
      .map((row) => row.split(','))
      .map((cells) => Number(cells[at!]) * 1000 + Number(cells[micros!]) / 1000)
      .sort((a, b) => a - b);
    expect(times).toHaveLength(8192);
    let busiest = 0;
    for (let first = 0, last = 0; last < times.length; last++) {
      while (times[first]! <= times[last]! - 1000) first++;
      busiest = Math.max(busiest, last - first + 1);
    }
    expect(busiest).toBeLessThanOrEqual(2000 * 1.03);
  }, 60_000);

  test('on the first signal settles and stores the probes in flight, and ends as cancelled', async () => {
    await using folder = await scratch();
    const flags = ['-r', '10000', '--agents', '2', '-c', '1s', '-o', 'out.csv'];
    const run = start('transect', ['scan', '127.81.0.0/16', ...LOOP, ...flags], folder.path);
    await run.says(/[1-9][\d,]* of 131,072 probes/);
    run.child.kill('SIGINT');
    const { code } = await run.outcome;
    expect(code).toBe(EXIT.DRAINED);
    const manifest = await manifestIn(folder.path);
    const rows = await rowsIn(join(folder.path, 'out.csv'));
    expect(manifest).toMatchObject({ state: 'cancelled', complete: false });
    expect(manifest.counts.probesSent).toBeGreaterThan(0);
    expect(manifest.counts.targetsCovered).toBe(manifest.counts.probesSent);
    expect(rows).toHaveLength(manifest.counts.probesSent);
    expect(new Set(rows).size).toBe(rows.length);
    expect(childrenOf(run)).toBe('');
  }, 60_000);

  test('on the second signal stops at once, and leaves only whole files', async () => {
    await using folder = await scratch();
    const flags = ['-r', '10000', '-c', '20s', '-o', 'out.csv'];
    const run = start('transect', ['scan', '127.82.0.0/16', ...LOOP, ...flags], folder.path);
    await run.says(/[1-9][\d,]* of 131,072 probes/);
    run.child.kill('SIGINT');
    await run.says(/Ctrl-C again/);
    run.child.kill('SIGINT');
    const at = Date.now();
    const { code } = await run.outcome;
    expect(code).toBe(EXIT.STOPPED);
    expect(Date.now() - at).toBeLessThan(5000);
    expect((await readFile(join(folder.path, 'out.csv'), 'utf8')).endsWith('\n')).toBe(true);
    expect(await manifestIn(folder.path)).toMatchObject({ state: 'cancelled', complete: false });
    expect(childrenOf(run)).toBe('');
  }, 60_000);
});
