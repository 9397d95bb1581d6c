/** A broker that is restarted with an empty store during a survey, with real processes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Host, Lab, labIsMissing, type Running } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const AGENT = join(ROOT, 'transect-agent');
const PREFIX = '198.18.0.0/18';
const TARGETS = 16_384;
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

describe.skipIf(labIsMissing())('a broker that comes back empty', () => {
  let lab: Lab;
  let host: Host;
  let folder: string;
  let url: string;
  let broker: Running;

  beforeEach(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-empty-'));
    host = await lab.host('broker');
    const target = await lab.host('target');
    target.simulateInternet(7, 'census');
    url = `nats://${host.address}:4222`;
    broker = await startBroker();
    const north = await lab.host('north');
    await north.routeVia(PREFIX, target);
    north.start(AGENT, '--nats', url, '--vantage', 'north');
  });

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const startBroker = async () => {
    const started = host.start(
      'nats-server',
      '-js',
      '-sd',
      join(folder, 'nats'),
      '-a',
      host.address,
    );
    await started.says(/ready/);
    return started;
  };
  const startCoordinator = async () => {
    const flags = ['--nats', url, '--data', join(folder, 'data')];
    const started = host.start(TRANSECT, 'coordinator', ...flags);
    await started.says(/leading/);
    return started;
  };
  const transect = async (...args: string[]) => await host.run(TRANSECT, ...args, '--nats', url);
  const launch = async () => {
    const flags = ['-p', '80', '--allow-special', '198.18.0.0/15', '--rows', 'all'];
    return (await transect('launch', PREFIX, ...flags, '-c', '1s', '-r', '2k')).stdout.trim();
  };
  const statusOf = async (survey: string) =>
    JSON.parse((await transect('status', survey, '--json')).stdout);
  const until = async (
    survey: string,
    isReached: (status: { state: string; targetsCovered: number }) => boolean,
  ) => {
    for (let i = 0; i < 200; i++) {
      const status = await statusOf(survey).catch(() => undefined); // there is no leader yet
      if (status !== undefined && isReached(status)) return status;
      await pause(300);
    }
    throw new Error('it was not reached');
  };
  const forgetEverything = async () => {
    broker.child.kill('SIGKILL');
    await rm(join(folder, 'nats'), { recursive: true, force: true });
    broker = await startBroker();
  };
  const expectWhole = async (survey: string) => {
    const verified = await transect('verify', survey).catch((error) => error);
    expect(verified.stdout).toMatch(/complete: every target/);
    const twice = 'SELECT count(*) AS n, count(DISTINCT position) AS d FROM results';
    const [row] = JSON.parse(
      `[${(await transect('query', survey, twice, '-O', 'ndjson')).stdout.trim()}]`,
    );
    expect(row.n).toBe(row.d);
  };

  test('gets its survey back unchanged from the coordinator that leads it, and this is logged', {
    timeout: 120_000,
  }, async () => {
    const coordinator = await startCoordinator();
    const survey = await launch();
    await until(survey, ({ targetsCovered }) => targetsCovered > 0);
    await forgetEverything();
    await coordinator.says(/came back without this survey/);
    const status = await until(survey, ({ state }) => state === 'done');
    expect(status).toMatchObject({ targets: TARGETS, targetsCovered: TARGETS });
    await expectWhole(survey);
    // Once more: then the survey is over, and is listed again.
    await forgetEverything();
    await coordinator.says(/came back without finished surveys/);
    expect(await until(survey, ({ state }) => state === 'done')).toEqual(status);
    await expectWhole(survey);
    expect((await transect('lookup', survey, '198.18.0.1:80')).stdout).toMatch(/probed between/);
  });

  test('gets its survey back, paused, from a coordinator that was restarted too', {
    timeout: 120_000,
  }, async () => {
    const first = await startCoordinator();
    const survey = await launch();
    await until(survey, ({ targetsCovered }) => targetsCovered > 0);
    first.child.kill('SIGKILL');
    await forgetEverything();
    const second = await startCoordinator();
    await second.says(/came back without this survey/);
    await until(survey, ({ state }) => state === 'paused');
    expect((await transect('status', survey)).stdout).toMatch(/restored from its folder/);
    await transect('resume', survey);
    const status = await until(survey, ({ state }) => state === 'done');
    expect(status).toMatchObject({ targets: TARGETS, targetsCovered: TARGETS });
    await expectWhole(survey);
  });
});
