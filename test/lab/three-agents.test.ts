import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Host, Lab, labIsMissing, type Running } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const AGENT = join(ROOT, 'transect-agent');
const LISTENER = join(ROOT, 'test/support/listener.mjs');
const PREFIX = '198.18.0.0/16';
const ADDRESSES = 65536;
const HTTP = ['--http', '127.0.0.1:9101'];

describe.skipIf(labIsMissing())('three agents that survey a real kernel’s /16', () => {
  let lab: Lab;
  let broker: Host;
  let agents: Host[];
  let folder: string;
  let url: string;
  let server: Running;
  let coordinator: Running;

  beforeEach(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-lab-'));
    broker = await lab.host('broker');
    const target = await lab.host('target');
    await target.answerFor(PREFIX);
    await target.start('node', LISTENER, '8080').says(/listening/);
    agents = [];
    for (const name of ['north', 'south', 'west']) {
      const host = await lab.host(name);
      await host.routeVia(PREFIX, target);
      agents.push(host);
    }
    url = `nats://${broker.address}:4222`;
    server = await startServer();
    coordinator = await startCoordinator();
  });

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const startServer = async () => {
    const flags = ['-js', '-sd', join(folder, 'nats'), '-a', broker.address];
    const running = broker.start('nats-server', ...flags);
    await running.says(/ready/);
    return running;
  };
  const startCoordinator = async () => {
    const flags = ['--nats', url, '--data', join(folder, 'data'), '--http', '127.0.0.1:9100'];
    const running = broker.start(TRANSECT, 'coordinator', ...flags);
    await running.says(/coordinator ready/);
    return running;
  };
  const join3 = async (): Promise<Running[]> => {
    const started = agents.map((host) =>
      host.start(
        AGENT,
        ...['--nats', url, '--vantage', host.namespace.split('-')[1] ?? ''],
        ...HTTP,
      ),
    );
    for (const agent of started) await agent.says(/agent ready/);
    return started;
  };
  const transect = async (...args: string[]) =>
    (await broker.run(TRANSECT, ...args, '--nats', url)).stdout;
  const launch = async (...flags: string[]) => {
    const targets = [PREFIX, '-p', '8080,8081', '--allow-special', '198.18.0.0/15'];
    return (await transect('launch', ...targets, '--rows', 'all', '-c', '1s', ...flags)).trim();
  };
  const untilDone = async (survey: string) => {
    for (;;) {
      const status = JSON.parse(await transect('status', survey, '--json'));
      if (status.state === 'done') return status;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  const expectExact = async (survey: string) => {
    const verdict = JSON.parse(await transect('verify', survey, '--json'));
    expect(verdict).toMatchObject({
      targetsCovered: 131072,
      targetsProbed: 131072,
      rows: 131072,
      examples: [],
    });
    const rows = (await transect('results', survey, '-f', 'saddr,sport,classification'))
      .trim()
      .split('\n')
      .slice(1);
    expect(rows).toHaveLength(2 * ADDRESSES);
    expect(new Set(rows).size).toBe(2 * ADDRESSES);
    expect(rows.filter((row) => row.endsWith(',8080,synack'))).toHaveLength(ADDRESSES);
    expect(rows.filter((row) => row.endsWith(',8081,rst'))).toHaveLength(ADDRESSES);
    expect(rows.every((row) => row.startsWith('198.18.'))).toBe(true);
  };

  test('share one survey, and the union of their rows is exact', { timeout: 120_000 }, async () => {
    await join3();
    const survey = await launch('-r', '30k');
    let received = '';
    for (let i = 0; i < 40 && !/probes_sent_total\{survey="\w+"\} [1-9]/.test(received); i++) {
      await agents[0]?.run('sleep', '0.2');
      received = (await agents[0]!.run('curl', '-s', 'http://127.0.0.1:9101/metrics')).stdout;
    }
    expect(received).toMatch(/transect_agent_probes_sent_total\{survey="\w+"\} [1-9]/);
    const health = await agents[0]!.run('curl', '-s', 'http://127.0.0.1:9101/healthz');
    expect(JSON.parse(health.stdout)).toMatchObject({ ok: true });
    const status = await untilDone(survey);
    expect(status).toMatchObject({
      targets: 131072,
      targetsCovered: 131072,
      sendFailed: 0,
      excluded: 0,
    });
    expect(status).toMatchObject({
      probesSent: 131072,
      coverage: 1,
      replied: { synack: ADDRESSES, rst: ADDRESSES, icmp: 0 },
    });
    await expectExact(survey);
    expect(await transect('lookup', survey, '198.18.3.4:8080')).toMatch(
      /^198\.18\.3\.4 port 8080: synack; probed between .* by (north|south|west)-\w+ at (north|south|west); position/,
    );
    expect(await transect('lookup', survey, '198.18.3.4')).toMatch(/port 8081: rst; probed/);
    expect(await transect('lookup', survey, '10.1.2.3:80')).toMatch(
      /10\.0\.0\.0\/8 is Private use/,
    );
    expect(await transect('lookup', survey, '198.19.0.1:8080')).toMatch(/not among the targets/);
    const manifest = JSON.parse(
      await readFile(join(folder, 'data', survey, 'manifest.json'), 'utf8'),
    );
    expect(manifest.complete).toBe(true);
    expect(manifest.agents).toHaveLength(3);
    const metrics = await broker.run('curl', '-s', 'http://127.0.0.1:9100/metrics');
    expect(metrics.stdout).toContain(`transect_targets_covered{survey="${survey}"} 131072`);
  });

  test('lose one of them to kill -9, and no row is missing or duplicated', {
    timeout: 120_000,
  }, async () => {
    const [north] = await join3();
    const survey = await launch('-r', '20k');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    north?.kill('SIGKILL');
    const status = await untilDone(survey);
    expect(status).toMatchObject({ targetsCovered: 131072, sendFailed: 0 });
    expect(status.probesSent).toBeGreaterThanOrEqual(131072);
    await expectExact(survey);
  });

  test('continue when the coordinator is killed and restarted', { timeout: 120_000 }, async () => {
    await join3();
    const survey = await launch('-r', '20k');
    await new Promise((resolve) => setTimeout(resolve, 3500));
    coordinator.kill('SIGKILL');
    await coordinator.ended();
    coordinator = await startCoordinator();
    const status = await untilDone(survey);
    expect(status).toMatchObject({ targetsCovered: 131072, sendFailed: 0 });
    await expectExact(survey);
  });

  test('continue when the broker is killed and restarted', { timeout: 120_000 }, async () => {
    await join3();
    const survey = await launch('-r', '20k');
    await new Promise((resolve) => setTimeout(resolve, 3500));
    server.kill('SIGKILL');
    await server.ended();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    server = await startServer();
    const status = await untilDone(survey);
    expect(status).toMatchObject({ targetsCovered: 131072, sendFailed: 0 });
    await expectExact(survey);
  });

  test('release the shards they hold on SIGTERM, and others finish them', {
    timeout: 120_000,
  }, async () => {
    const [north, south] = await join3();
    const survey = await launch('-r', '20k');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    north?.kill('SIGTERM');
    south?.kill('SIGTERM');
    expect(await north?.ended()).toBe(0);
    const status = await untilDone(survey);
    expect(status).toMatchObject({ targetsCovered: 131072, probesSent: 131072, sendFailed: 0 });
    await expectExact(survey);
  });
});
