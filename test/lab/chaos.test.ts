/**
 * Repeated failures in the middle of a survey: agents, broker and coordinators are killed with kill -9, also
 * while a segment is being written, and links are unplugged. The probes that the target network received and
 * the stored rows are compared with the truth, which follows from a seed.
 */
import { existsSync, watch } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseIpv4 } from '../../shared/net/address.js';
import { mappedWords } from '../../shared/net/ipv6.js';
import { prng } from '../support/prng.js';
import type { Counts } from './internet/census.js';
import { expectedOf, kindOf, rollOf } from './internet/truth.js';
import { type Host, Lab, labIsMissing, type Running } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const AGENT = join(ROOT, 'transect-agent');
const SEED = Number(process.env['TRANSECT_CHAOS_SEED'] ?? 1 + (process.pid % 1000));
const EVENTS = Number(process.env['TRANSECT_CHAOS_EVENTS'] ?? 50);
const PREFIX = '198.18.0.0/15';
const PORTS = [80, 443];
const TARGETS = 2 * 131_072;
const RATE = 1500;
/** The events after which an agent's unsettled positions are probed again. */
const INTERRUPTIONS: readonly string[] = ['an agent is killed', 'a link is cut'];
/**
 * While no coordinator answers, agents send until their grants expire, and cannot report what they settle. If one
 * dies then, or soon after, that is probed again, too.
 */
const GRANT_SECONDS = 3;
const ANSWERED_MILLIS = 15_000;
const COOLDOWN_SECONDS = 2;
const VANTAGES = ['north', 'south', 'east', 'west'];

const MID_WRITE = 'the coordinators are killed while a segment is written';

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

describe.skipIf(labIsMissing())('four agents, two coordinators and a broker under kill -9', () => {
  let lab: Lab;
  let folder: string;
  let url: string;
  let brokerHost: Host;
  let control: Host;
  let target: Host;
  let internet: Running;
  let broker: Running;
  let survey: string;
  /** Number of segments that were half-written when the coordinator died. */
  let written = 0;
  const hosts: Host[] = [];
  const agents: Running[] = [];
  const coordinators: Running[] = [];
  const roll = prng(SEED);
  const draw = (from: number, to: number) => from + Math.floor(roll() * (to - from));

  beforeEach(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-chaos-'));
    brokerHost = await lab.host('broker');
    control = await lab.host('control');
    target = await lab.host('target');
    internet = await target.simulateInternet(SEED, 'census');
    url = `nats://${brokerHost.address}:4222`;
    await startBroker();
    for (let i = 0; i < 2; i++) await startCoordinator(i);
    for (const [i, name] of VANTAGES.entries()) {
      const host = await lab.host(name);
      await host.routeVia(PREFIX, target);
      hosts[i] = host;
      await startAgent(i);
    }
  }, 60_000);

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const startBroker = async () => {
    const flags = ['-js', '-sd', join(folder, 'nats'), '-a', brokerHost.address];
    broker = brokerHost.start('nats-server', ...flags);
    await broker.says(/ready/);
  };
  const startCoordinator = async (i: number) => {
    const flags = ['--nats', url, '--data', join(folder, 'data')];
    coordinators[i] = control.start(TRANSECT, 'coordinator', ...flags);
    await coordinators[i].says(/coordinator ready/);
  };
  const startAgent = async (i: number) => {
    const flags = ['--nats', url, '--vantage', VANTAGES[i] as string];
    agents[i] = (hosts[i] as Host).start(AGENT, ...flags);
    await agents[i].says(/agent ready/);
  };
  const transect = async (...args: string[]) =>
    (await control.run(TRANSECT, ...args, '--nats', url)).stdout;
  const cut = async (host: Host, millis: number) => {
    await host.unplug();
    await pause(millis);
    await host.plug();
    await host.takeAddresses();
    if (hosts.includes(host)) await host.routeVia(PREFIX, target);
  };

  /** Events by name; each returns a text about its outcome. */
  const kinds: Readonly<Record<string, () => Promise<string>>> = {
    'an agent is killed': async () => {
      const i = draw(0, agents.length);
      agents[i]?.kill('SIGKILL');
      await startAgent(i);
      return VANTAGES[i] as string;
    },
    'the broker is killed': async () => {
      broker.kill('SIGKILL');
      await broker.ended();
      await pause(draw(0, 1500));
      await startBroker();
      return '';
    },
    'a coordinator is killed': async () => {
      const i = draw(0, 2);
      coordinators[i]?.kill('SIGKILL');
      await startCoordinator(i);
      return String(i);
    },
    [MID_WRITE]: async () => {
      const file = await untilWriting();
      if (file !== undefined) written++;
      for (const coordinator of coordinators) coordinator.kill('SIGKILL');
      for (const i of [0, 1]) await startCoordinator(i);
      return file ?? 'none was';
    },
    'a link is cut': async () => {
      const millis = draw(50, 2500);
      const i = draw(0, hosts.length);
      await cut(hosts[i] as Host, millis);
      return `${VANTAGES[i]} for ${millis} ms`;
    },
    'the coordinators are cut off': async () => {
      const millis = draw(50, 3000);
      await cut(control, millis);
      return `for ${millis} ms`;
    },
  };

  /** Waits until a segment is being written; undefined if that does not happen soon. */
  const untilWriting = async (): Promise<string | undefined> => {
    const segments = join(folder, 'data', survey, 'segments');
    while (!existsSync(segments)) await pause(20);
    return await new Promise((resolve) => {
      const finish = (file?: string) => {
        clearTimeout(late);
        watcher.close();
        resolve(file);
      };
      const late = setTimeout(finish, 20_000);
      const watcher = watch(segments, (_event, file) => {
        if (file?.endsWith('.part')) finish(file);
      });
    });
  };

  const statusOf = async () => {
    const text = await transect('status', survey, '--json').catch(() => '{}');
    return JSON.parse(text) as { state?: string; targetsCovered?: number; probesSent?: number };
  };

  test(`lose no row, duplicate none and keep the rate over ${EVENTS} failures`, {
    timeout: 600_000,
  }, async () => {
    const flags = ['-p', PORTS.join(','), '--allow-special', PREFIX, '--rows', 'all'];
    const pace = ['-r', `${RATE}`, '-c', `${COOLDOWN_SECONDS}s`];
    survey = (await transect('launch', PREFIX, ...flags, ...pace)).trim();
    const tally: Record<string, number> = {};
    const names = Object.keys(kinds);
    let unansweredAt = Number.NEGATIVE_INFINITY;
    let repeatedSeconds = 0;
    for (let event = 0; event < EVENTS; event++) {
      await pause(draw(100, 1500));
      const name = names[draw(0, names.length)] as string;
      if (!INTERRUPTIONS.includes(name)) unansweredAt = performance.now();
      else {
        const isUnanswered = performance.now() - unansweredAt < ANSWERED_MILLIS;
        repeatedSeconds += COOLDOWN_SECONDS + 1 + (isUnanswered ? GRANT_SECONDS : 0);
      }
      const how = await kinds[name]?.();
      tally[name] = (tally[name] ?? 0) + 1;
      if (process.env['TRANSECT_CHAOS_TALK']) console.log(event, name, how, await statusOf());
    }
    expect((await statusOf()).state).not.toBe('done'); // otherwise the events came too late
    for (;;) {
      if ((await statusOf()).state === 'done') break;
      await pause(500);
    }
    const verdict = JSON.parse(await transect('verify', survey, '--json'));
    const rows = (await transect('results', survey, '-f', 'saddr,sport,classification'))
      .trim()
      .split('\n')
      .slice(1);
    const { missing, wrong } = compare(rows);
    const doubled =
      rows.length - new Set(rows.map((row) => row.slice(0, row.lastIndexOf(',')))).size;
    await pause(1500); // until the last report of the target network
    const lines = internet.stdout.trim().split('\n');
    const seen = JSON.parse(lines.at(-1) ?? '') as Counts & { framesDropped: number };
    const repeatedMax = (repeatedSeconds * RATE) / VANTAGES.length;
    console.log(
      [
        `chaos, seed ${SEED}: ${TARGETS} targets at ${RATE} probes/s`,
        ...Object.entries(tally).map(([name, count]) => `  ${count} × ${name}`),
        `  segments half-written     ${written}`,
        `  targets missed            ${TARGETS - verdict.targetsCovered}`,
        `  rows lost                 ${missing}`,
        `  rows wrong                ${wrong}`,
        `  rows duplicated           ${doubled}`,
        `  probes received           ${seen.probes}, ${seen.targets} targets`,
        `  probes repeated           ${seen.probes - seen.targets}, allowed ${repeatedMax}`,
        `  busiest second            ${seen.busiestSecond}, ${(seen.busiestSecond / RATE).toFixed(4)} of the budget`,
        `  longest silence           ${seen.longestSilenceMillis} ms`,
        `  dropped by the target     ${seen.framesDropped}`,
      ].join('\n'),
    );
    expect(verdict).toMatchObject({
      targetsCovered: TARGETS,
      violations: 0,
      rows: rows.length,
      examples: [],
    });
    expect({ missing, wrong, doubled }).toEqual({ missing: 0, wrong: 0, doubled: 0 });
    expect(seen).toMatchObject({ targets: TARGETS, framesDropped: 0 });
    expect(seen.probes - seen.targets).toBeLessThanOrEqual(repeatedMax);
    expect(seen.longestSilenceMillis).toBeLessThan(60_000);
    if ((tally[MID_WRITE] ?? 0) > 1) expect(written).toBeGreaterThan(0);
    expect(seen.busiestSecond).toBeLessThanOrEqual(Math.ceil(1.02 * RATE));
  });
});

/** Counts missing rows, and wrong ones: rows that should not exist or have another outcome than expected. */
function compare(rows: readonly string[]): { missing: number; wrong: number } {
  const found = new Map<string, string>();
  for (const row of rows) found.set(row.slice(0, row.lastIndexOf(',')), row.split(',')[2] ?? '');
  let missing = 0;
  let wrong = 0;
  const first = parseIpv4('198.18.0.0');
  for (let address = first; address < first + TARGETS / 2; address++) {
    const text = [24, 16, 8, 0].map((bits) => (address >>> bits) & 255).join('.');
    for (const port of PORTS) {
      const expected = expectedOf(kindOf(rollOf(SEED, mappedWords(address), port)));
      const said = found.get(`${text},${port}`);
      if (expected === 'any') wrong += said === undefined || said === 'synack' ? 0 : 1;
      else if (expected === 'none') wrong += said === undefined ? 0 : 1;
      else if (said === undefined) missing++;
      else if (said !== expected) wrong++;
    }
  }
  return { missing, wrong };
}
