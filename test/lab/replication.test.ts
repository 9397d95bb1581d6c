/**
 * Coordinators on hosts of their own, without a shared disk, and a broker of three servers on the same hosts. The
 * host of the leading coordinator is lost in the middle of a survey, with its server and its disk.
 */
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { STREAM } from '../../shared/bus/nats/subjects.js';
import { type Host, Lab, labIsMissing, type Running } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const AGENT = join(ROOT, 'transect-agent');
const PREFIX = '198.18.0.0/17';
const TARGETS = 32_768;
const NAMES = ['n1', 'n2', 'n3'] as const;
const SECRET = '.cookie-secret';
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

describe.skipIf(labIsMissing())('coordinators that replicate', () => {
  let lab: Lab;
  let folder: string;
  let url: string;
  let hosts: Record<string, Host>;

  beforeEach(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-replication-'));
    hosts = {};
    for (const name of NAMES) hosts[name] = await lab.host(name);
    const routes = NAMES.map((name) => `nats://${hosts[name]?.address}:6222`).join(',');
    for (const name of NAMES) {
      const { address } = hosts[name]!;
      const cluster = ['--cluster_name', 'lab', '--cluster', `nats://${address}:6222`];
      const store = ['-js', '-sd', join(folder, name, 'nats')];
      const flags = ['-n', name, '-a', address, '-m', '8222', ...store, ...cluster];
      await hosts[name]!.start('nats-server', ...flags, '--routes', routes).says(/ready/);
    }
    url = NAMES.map((name) => `nats://${hosts[name]?.address}:4222`).join(',');
    const target = await lab.host('target');
    target.simulateInternet(7, 'census');
    hosts['north'] = await lab.host('north');
    await hosts['north'].routeVia(PREFIX, target);
  });

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const dataOf = (name: string) => join(folder, name, 'data');
  const coordinator = (name: string): Running => {
    const flags = ['--nats', url, '--data', dataOf(name), '--replicate'];
    return hosts[name]!.start(TRANSECT, 'coordinator', ...flags);
  };
  const copySecret = async (from: string, to: string) => {
    await mkdir(dataOf(to), { recursive: true });
    await copyFile(join(dataOf(from), SECRET), join(dataOf(to), SECRET));
  };
  const transect = async (...args: string[]) =>
    (await hosts['n3']!.run(TRANSECT, ...args, '--nats', url)).stdout;
  const statusOf = async (survey: string) =>
    JSON.parse(await transect('status', survey, '--json').catch(() => '{}')) as {
      state?: string;
      targetsCovered?: number;
    };
  const until = async (survey: string, isReached: (status: object) => boolean) => {
    for (let i = 0; i < 300; i++) {
      const status = await statusOf(survey);
      if (isReached(status)) return status;
      await pause(300);
    }
    throw new Error('it was not reached');
  };
  /** The number of servers that keep each stream, by its name, as the broker reports it. */
  const copiesOfStreams = async () => {
    const { address } = hosts['n3']!;
    const streams = `http://${address}:8222/jsz?streams=true&config=true`;
    const script = `fetch('${streams}').then(async (answer) => console.log(await answer.text()))`;
    const answer = JSON.parse((await hosts['n3']!.run(process.execPath, '-e', script)).stdout);
    const details = answer.account_details[0].stream_detail as {
      config: { name: string; num_replicas: number };
    }[];
    return new Map(details.map(({ config }) => [config.name, config.num_replicas]));
  };
  const covered = (least: number) => (status: { targetsCovered?: number }) =>
    (status.targetsCovered ?? 0) >= least;

  test('lose nothing and double nothing when the leader’s host is lost with its disk', {
    timeout: 240_000,
  }, async () => {
    await coordinator('n1').says(/replicating/);
    await copySecret('n1', 'n2');
    const standby = coordinator('n2');
    await standby.says(/standing by/);
    await hosts['north']!.start(AGENT, '--nats', url, '--vantage', 'north').says(/agent ready/);
    const flags = ['-p', '80', '--allow-special', '198.18.0.0/15', '--rows', 'all'];
    const survey = (await transect('launch', PREFIX, ...flags, '-c', '1s', '-r', '2k')).trim();
    await transect('exclude', 'add', '198.18.126.0/24', '--reason', 'asked to');
    await until(survey, covered(4096));
    const copies = await copiesOfStreams();
    expect([...copies.keys()]).toContain(STREAM.FILES);
    expect(new Set(copies.values())).toEqual(new Set([3]));

    await hosts['n1']!.unplug();
    await hosts['n1']!.stopAll();
    await rm(join(folder, 'n1'), { recursive: true });
    await standby.says(/"term":2,.*leading|leading.*"term":2/);

    const status = await until(survey, (now) => 'state' in now && now.state === 'done');
    expect(status).toMatchObject({ targets: TARGETS });
    const verdict = JSON.parse(await transect('verify', survey, '--json'));
    expect(verdict).toMatchObject({ violations: 0 });
    const twice = 'SELECT count(*) AS n, count(DISTINCT position) AS d FROM results';
    const row = JSON.parse((await transect('query', survey, twice, '-O', 'ndjson')).trim());
    expect(row.n).toBeGreaterThan(100);
    expect(row.n).toBe(row.d);
    expect(await transect('exclude', 'list')).toContain('198.18.126.0/24');

    // Another host joins with an empty folder, and has everything when it takes over.
    await copySecret('n2', 'n3');
    const third = coordinator('n3');
    await third.says(/standing by/);
    standby.child.kill('SIGKILL');
    await third.says(/leading/);
    await until(survey, (now) => 'state' in now && now.state === 'done');
    const again = JSON.parse((await transect('query', survey, twice, '-O', 'ndjson')).trim());
    expect(again).toEqual(row);
    const audited = await hosts['n3']!.run(TRANSECT, 'audit', dataOf('n3'));
    expect(audited.stdout).toMatch(/launch[\s\S]*exclude/);
  });

  test('do not stand by without the secret of the one that leads, and say which file to copy', {
    timeout: 60_000,
  }, async () => {
    await coordinator('n1').says(/replicating/);
    const flags = ['--nats', url, '--data', dataOf('n2'), '--replicate'];
    const refused = await hosts['n2']!.run(TRANSECT, 'coordinator', ...flags).catch((e) => e);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/copy the file \.cookie-secret/);
    const without = await hosts['n1']!.run(
      ...([TRANSECT, 'coordinator', '--nats', url, '--data', dataOf('n1')] as const),
    ).catch((e) => e);
    expect(without.stderr).toMatch(/start the coordinator with --replicate/);
  });
});
