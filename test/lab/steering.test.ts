/** Commands to a running survey: how soon they take effect, as seen by the target network. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Host, Lab, labIsMissing, type Running } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const AGENT = join(ROOT, 'transect-agent');
const PREFIX = '198.18.0.0/16';
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

describe.skipIf(labIsMissing())('a running survey', () => {
  let lab: Lab;
  let broker: Host;
  let folder: string;
  let internet: Running;
  let agents: Running[];
  let url: string;

  beforeEach(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-steering-'));
    broker = await lab.host('broker');
    const target = await lab.host('target');
    internet = await target.simulateInternet(7, 'census');
    url = `nats://${broker.address}:4222`;
    const flags = ['-js', '-sd', join(folder, 'nats'), '-a', broker.address];
    await broker.start('nats-server', ...flags).says(/ready/);
    agents = [];
    for (const name of ['north', 'south']) {
      const host = await lab.host(name);
      await host.routeVia(PREFIX, target);
      agents.push(host.start(AGENT, '--nats', url, '--vantage', name));
    }
  });

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const startCoordinator = async (data: string) => {
    const coordinator = broker.start(TRANSECT, 'coordinator', '--nats', url, '--data', data);
    await coordinator.says(/coordinator ready/);
  };
  const transect = async (...args: string[]) => await broker.run(TRANSECT, ...args, '--nats', url);
  const launch = async (...flags: string[]) => {
    const targets = [PREFIX, '-p', '80,443', '--allow-special', '198.18.0.0/15', '--rows', 'all'];
    return (await transect('launch', ...targets, '-c', '1s', ...flags)).stdout.trim();
  };
  const statusOf = async (survey: string) =>
    JSON.parse((await transect('status', survey, '--json')).stdout);
  /** Probes that the target network has received; its reports are at most a second old. */
  const received = async () => {
    await pause(1100);
    return JSON.parse(internet.stdout.trim().split('\n').at(-1) ?? '').received as number;
  };
  const untilDone = async (survey: string) => {
    while ((await statusOf(survey)).state !== 'done') await pause(300);
  };

  /**
   * Adds an exclusion.
   * @returns the command's output, and the milliseconds until agents enforce the exclusion, less the time
   * that any command takes
   */
  const addingExclusion = async (range: string, reason: string) => {
    const startedAt = performance.now();
    await transect('exclude', 'list');
    const requestedAt = performance.now();
    const added = await transect('exclude', 'add', range, '--reason', reason, '--by', 'noc');
    return [added, performance.now() - requestedAt - (requestedAt - startedAt)] as const;
  };

  test('can be paused, resumed and given another rate, and applies an exclusion at once', {
    timeout: 120_000,
  }, async () => {
    await startCoordinator(join(folder, 'data'));
    const survey = await launch('-r', '4k');
    await pause(3000);
    const [excluded, first] = await addingExclusion('198.18.128.0/17', 'mail of 3 May');
    // Other tests run on the same machine and slow some commands down, so the fastest of three shows how
    // long the agents take.
    const [, second] = await addingExclusion('192.0.2.0/24', 'another');
    const [, third] = await addingExclusion('203.0.113.0/24', 'a third');
    expect(Math.min(first, second, third)).toBeLessThan(1000);
    expect(excluded.stdout.trim()).toBe('1');
    expect(excluded.stderr).toMatch(/and all agents at work enforce it/);
    await transect('pause', survey);
    const [paused, later] = [await received(), await received()];
    expect(later).toBe(paused);
    expect(paused).toBeGreaterThan(2000);
    expect(await statusOf(survey)).toMatchObject({ state: 'paused' });
    await transect('rate', survey, '20k');
    await transect('resume', survey);
    await untilDone(survey);
    const status = await statusOf(survey);
    expect(status).toMatchObject({ targetsCovered: 131_072, budget: 20_000, sendFailed: 0 });
    expect(status.probesSent + status.excluded).toBe(131_072);
    expect(status.excluded).toBeGreaterThan(50_000);
    expect(await received()).toBe(status.probesSent);
    expect((await transect('verify', survey)).stdout).toMatch(/complete: every target/);
    const half = 'SELECT count(*) AS n FROM results';
    expect((await transect('query', survey, half, '-O', 'csv')).stdout).toMatch(/^n\n\d+\n$/);
    const results: string[] = [];
    for (const address of ['198.18.200.1', '198.18.200.2', '198.18.200.3', '198.18.200.4']) {
      results.push((await transect('lookup', survey, `${address}:80`)).stdout);
    }
    expect(results.join('')).toMatch(
      /excluded by 198\.18\.128\.0\/17, version 1 .*: mail of 3 May/,
    );
    // A later survey starts without the excluded targets.
    const next = await launch('-r', '1k');
    expect(await statusOf(next)).toMatchObject({ targets: 65_536 });
    const log = await readFile(join(folder, 'data', 'exclusions.ndjson'), 'utf8');
    expect(JSON.parse(log.split('\n')[0] ?? '')).toMatchObject({
      version: 1,
      reason: 'mail of 3 May',
      by: 'noc',
    });
    await transect('cancel', next, '--now');
    // The same range is excluded twice: it stays excluded when one of the two entries is lifted.
    await transect('exclude', 'add', '198.18.128.0/17', '--reason', 'again');
    const lifted = await transect('exclude', 'lift', '1', '--reason', 'a mistake');
    expect(lifted.stderr).toMatch(/1 is lifted; 198\.18\.128\.0\/17 stays excluded by version 4/);
    const last = await transect('exclude', 'lift', '4', '--reason', 'a mistake');
    expect(last.stderr).toMatch(/198\.18\.128\.0\/17 is no longer excluded/);
  });

  test('stalls when the disk is full, reports it, and continues when there is space', {
    timeout: 120_000,
  }, async () => {
    const run = promisify(execFile);
    const small = join(folder, 'small');
    await run('mkdir', [small]);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]);
    try {
      await startCoordinator(small);
      const survey = await launch('-r', '20k');
      let status = await statusOf(survey);
      for (const end = Date.now() + 60_000; status.problem === '' && Date.now() < end; ) {
        await pause(300);
        status = await statusOf(survey);
      }
      expect(status.problem).toMatch(
        /results cannot be stored: .*(No space left|ENOSPC|no space)/i,
      );
      expect((await transect('status', survey)).stdout).toMatch(/STALLED/);
      await pause(1500);
      const [stalled, later] = [await received(), await received()];
      expect(later).toBe(stalled);
      await run('mount', ['-o', 'remount,size=64m', small]);
      await untilDone(survey);
      const verdict = JSON.parse((await transect('verify', survey, '--json')).stdout);
      expect(verdict).toMatchObject({ targetsCovered: 131_072, violations: 0 });
    } finally {
      await lab[Symbol.asyncDispose]();
      await run('umount', ['-l', small]);
    }
  });
});
