/**
 * A survey over a broker of three nodes, whose streams have three replicas: a follower and the leader are
 * killed, and the third node is disconnected. The targets are the loopback of this network namespace, for
 * which the real kernel answers.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enterOwnNetwork } from '../support/own-network.js';
import {
  copiesSeenBy,
  cutOff,
  IMAGE,
  kill,
  leaderSeenBy,
  NAMES,
  rejoin,
  start,
  startCluster,
  URL_OF_ALL,
} from './nats-cluster.js';
import { dockerIsMissing, OwnDocker } from './own-docker.js';
import { SynCounter } from './syn-counter.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const LISTENER = join(ROOT, 'test/support/listener.mjs');
const ADDRESSES = 65_536;
const RATE = 4000;
const COOLDOWN_SECONDS = 1;
const FAULTS = 3;
const GRANT_SECONDS = 3;
const run = promisify(execFile);
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

describe.skipIf(dockerIsMissing())('a broker of three nodes', () => {
  let docker: OwnDocker;
  let folder: string;
  const children: ChildProcess[] = [];

  const begin = async (program: string, args: readonly string[], ready: RegExp) => {
    const tied = ['--pdeathsig', 'KILL', program, ...args];
    const child = spawn('setpriv', tied, { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const hear = (text: Buffer) => {
        said += text;
        if (ready.test(said)) resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => reject(new Error(`${program} ended with ${code}: ${said}`)));
    });
  };
  const transect = async (...args: string[]) =>
    (await run(join(ROOT, 'transect'), [...args, '--nats', URL_OF_ALL], { maxBuffer: 1 << 28 }))
      .stdout;
  const statusOf = async (survey: string) => {
    const text = await transect('status', survey, '--json').catch(() => '{}');
    return JSON.parse(text) as { state?: string; probesSent?: number };
  };

  beforeAll(async () => {
    enterOwnNetwork();
    folder = await mkdtemp(join(tmpdir(), 'transect-cluster-'));
    docker = await OwnDocker.start();
    await docker.image(IMAGE.repo, IMAGE.tag, IMAGE.program);
    await startCluster();
    await begin(process.execPath, [LISTENER, '8080'], /listening/);
    const nats = ['--nats', URL_OF_ALL];
    const data = join(folder, 'data');
    for (let i = 0; i < 2; i++) {
      await begin(
        join(ROOT, 'transect'),
        ['coordinator', ...nats, '--data', data],
        /coordinator ready/,
      );
    }
    for (const vantage of ['north', 'south']) {
      const flags = [...nats, '--vantage', vantage, '-i', 'lo'];
      await begin(join(ROOT, 'transect-agent'), flags, /agent ready/);
    }
  }, 90_000);

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await docker.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('loses nothing of a survey while nodes and leaders die or are disconnected', {
    timeout: 300_000,
  }, async () => {
    const syns = new SynCounter('127.50.0.0/16');
    const flags = ['-p', '8080,8081', '--allow-special', '127.0.0.0/8', '--rows', 'all'];
    const launched = await transect(
      'launch',
      '127.50.0.0/16',
      ...flags,
      '-r',
      `${RATE}`,
      '-c',
      `${COOLDOWN_SECONDS}s`,
    );
    const survey = launched.trim();
    const copies = Object.values(await copiesSeenBy('n1'));
    expect(copies.length).toBeGreaterThan(5);
    expect(copies.every((count) => count === 3)).toBe(true);
    const progress: (number | undefined)[] = [];
    const note = async () => progress.push((await statusOf(survey)).probesSent);
    await pause(4000);
    expect((await statusOf(survey)).state).toBe('running');
    const leader = (await leaderSeenBy('n1')) ?? 'n1';
    const [follower = 'n2', other = 'n3'] = NAMES.filter((name) => name !== leader);
    await kill(follower);
    await pause(4000);
    await note();
    await start(follower);
    await pause(4000);
    await kill(leader);
    await pause(12_000);
    await note();
    await start(leader);
    await pause(5000);
    await cutOff(other);
    await pause(8000);
    await note();
    await rejoin(other);
    for (;;) {
      if ((await statusOf(survey)).state === 'done') break;
      await pause(500);
    }
    const verdict = JSON.parse(await transect('verify', survey, '--json'));
    const { total, fastest } = await syns.stop();
    console.log(
      `cluster: sent ${progress.join(', ')} after each fault; ${JSON.stringify(verdict)}; ` +
        `${total} probes received, ${fastest.toFixed(0)} a second at most`,
    );
    // No agent died, but each may have lost its leases when a node failed. If so, the probes of the last
    // (cooldown + 1 s) before that are repeated, and those that it has sent until its grant expired, because nobody
    // took its reports.
    expect(total).toBeGreaterThanOrEqual(2 * ADDRESSES);
    expect(total - 2 * ADDRESSES).toBeLessThanOrEqual(
      FAULTS * (COOLDOWN_SECONDS + 1 + GRANT_SECONDS) * RATE,
    );
    expect(fastest).toBeLessThanOrEqual(1.02 * RATE);
    expect(verdict).toMatchObject({
      targetsCovered: 2 * ADDRESSES,
      violations: 0,
      rows: 2 * ADDRESSES,
    });
    const counted = await transect(
      ...['query', survey, '-O', 'csv'],
      'SELECT sport, classification, count(DISTINCT saddr) AS n FROM results GROUP BY ALL ORDER BY 1',
    );
    expect(counted.trim().split('\n').slice(1)).toEqual([
      `8080,synack,${ADDRESSES}`,
      `8081,rst,${ADDRESSES}`,
    ]);
  });
});
