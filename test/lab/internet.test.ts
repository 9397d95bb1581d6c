/** Surveys of a simulated Internet and of real kernels, checked row by row. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseWords } from '../../shared/net/ipv6.js';
import { expectedOf, kindOf, rollOf } from './internet/truth.js';
import { type Host, Lab, labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const LISTENER = join(ROOT, 'test/support/listener.mjs');
const SEED = 42;
const ALLOW = ['--allow-special', '198.18.0.0/15', '--allow-special', '2001:db8::/32'];

describe.skipIf(labIsMissing())('a survey', () => {
  let lab: Lab;
  let agent: Host;
  let target: Host;
  let folder: string;

  beforeEach(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-lab-'));
    agent = await lab.host('agent');
    target = await lab.host('target');
    for (const prefix of ['198.18.0.0/15', '2001:db8:42::/48'])
      await agent.routeVia(prefix, target);
  });

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const scanFlags = (...flags: string[]) => [
    ...['scan', ...flags, ...ALLOW, '--rows', 'all', '-c', '2s', '--data', folder],
    ...['-f', 'saddr,sport,classification,rtt_ms,daddr,icmp_responder'],
  ];
  const rowsOf = (csv: string) => {
    const [, ...lines] = csv.trim().split('\n');
    return lines.map((line) => line.split(','));
  };
  /** Runs a scan until it ends; returns its stored rows. */
  const scan = async (...flags: string[]) => {
    const file = join(folder, 'rows.csv');
    const { stderr } = await agent.run(TRANSECT, ...scanFlags(...flags, '-o', file));
    const manifest = /manifest\s+(\S+)/.exec(stderr)?.[1] ?? '';
    return {
      rows: rowsOf(await readFile(file, 'utf8')),
      manifest: JSON.parse(await readFile(manifest, 'utf8')),
      stderr,
    };
  };
  /** Expects that every row is true, and that every target that must have a row has one. */
  const expectTrue = (rows: readonly string[][], addresses: readonly string[], ports: number[]) => {
    const found = new Map(rows.map(([address, port, code]) => [`${address} ${port}`, code]));
    expect(found.size).toBe(rows.length);
    const wrong: string[] = [];
    let unseen = found.size;
    for (const address of addresses) {
      const words = parseWords(address);
      for (const port of ports) {
        const kind = kindOf(rollOf(SEED, words, port));
        const expected = expectedOf(kind);
        const code = found.get(`${address} ${port}`);
        if (code !== undefined) unseen--;
        const isRight =
          expected === 'any'
            ? code === undefined || code === 'synack'
            : (code ?? 'none') === expected;
        if (!isRight) wrong.push(`${address} ${port}: ${kind}, not ${code}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(unseen).toBe(0);
  };
  const slash16 = (prefix: string) =>
    Array.from({ length: 65536 }, (_, i) => `${prefix}.${i >>> 8}.${i & 255}`);
  const window = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => {
      const subnet = (first + i).toString(16);
      return subnet === '0' ? '2001:db8:42::1' : `2001:db8:42:${subnet}::1`;
    });

  test('of a simulated Internet reports the truth about each of 131,072 targets', async () => {
    await target.simulateInternet(SEED);
    const { rows, manifest } = await scan('198.18.0.0/16', '-p', '80,443', '-r', '40k');
    expectTrue(rows, slash16('198.18'), [80, 443]);
    expect(manifest.complete).toBe(true);
    expect(manifest.counts.framesDropped).toBe(0);
    const routers = new Set(rows.map(([, , , , , router]) => router).filter((text) => text !== ''));
    expect(routers.size).toBe(64);
  });

  test('of a simulated IPv6 Internet reports the truth about each target, too', async () => {
    await target.simulateInternet(SEED);
    const { rows } = await scan('2001:db8:42::/48-62@::1', '-p', '80,443', '-r', '30k');
    const addresses = Array.from({ length: 16384 }, (_, i) => window(i * 4, 1)[0] as string);
    expectTrue(rows, addresses, [80, 443]);
  });

  test('of both families at once, by two senders, reports each address of a real kernel', async () => {
    await target.answerFor('198.18.0.0/18');
    await target.answerFor('2001:db8:42::/48');
    await target.start('node', LISTENER, '8080').says(/listening/);
    const targets = ['198.18.0.0/18', '2001:db8:42::/48-62@::1'];
    const { rows } = await scan(...targets, '-p', '8080,8081', '-r', '30k', '--senders', '2');
    expect(rows).toHaveLength(4 * 16384);
    expect(new Set(rows.map(([address, port]) => `${address} ${port}`)).size).toBe(rows.length);
    for (const [, port, code, , daddr] of rows) {
      expect(code).toBe(port === '8080' ? 'synack' : 'rst');
      expect(['100.64.0.1', '2001:db8:ffff::1']).toContain(daddr);
    }
  });

  test.each(['af-xdp', 'tx-ring', 'packet', 'pcap', 'raw-ip'])(
    'through %s is exact, and names the transmit method it used',
    async (method) => {
      await target.answerFor('198.18.0.0/16');
      const { rows, manifest } = await scan(
        '198.18.0.0/19',
        '-p',
        '81',
        '-r',
        '20k',
        '--transmit',
        method,
      );
      expect(rows).toHaveLength(8192);
      expect(rows.every(([, , code]) => code === 'rst')).toBe(true);
      expect(manifest.agents[0].transmit).toBe(`${method} eth0`);
    },
  );

  test('by two interfaces receives the replies on both', async () => {
    await target.answerFor('198.18.0.0/22');
    const flags = ['198.18.0.0/22', '127.77.0.0/22', '-p', '81', '-r', '10k'];
    const { rows, manifest } = await scan(...flags, '--allow-special', '127.0.0.0/8');
    expect(rows).toHaveLength(2048);
    const ours = new Map(rows.map(([address, , , , daddr]) => [address, daddr]));
    expect(ours.get('198.18.0.1')).toBe('100.64.0.1');
    expect(ours.get('127.77.0.1')).toBe('127.0.0.1');
    expect(manifest.agents[0].transmit).toMatch(
      /^(raw-ip lo, af-xdp eth0|af-xdp eth0, raw-ip lo)$/,
    );
  });

  test('reports round-trip times if the replies echo our TCP timestamps', async () => {
    await target.answerFor('198.18.0.0/24');
    await target.start('node', LISTENER, '8080').says(/listening/);
    const { rows } = await scan('198.18.0.0/24', '-p', '8080', '--probe', 'tcp-syn:layout=linux');
    expect(rows).toHaveLength(256);
    for (const [, , , rtt] of rows) {
      expect(Number(rtt)).toBeGreaterThan(0);
      expect(Number(rtt)).toBeLessThan(500);
    }
  });

  test('from several source addresses uses them all, and receives all replies', async () => {
    await target.answerFor('198.18.0.0/20');
    await agent.ip('address', 'add', '100.64.0.101/24', 'dev', 'eth0');
    const flags = ['198.18.0.0/20', '-p', '81', '-r', '20k', '-S', '100.64.0.1,100.64.0.101'];
    const { rows } = await scan(...flags);
    expect(rows).toHaveLength(4096);
    const ours = rows.filter(([, , , , daddr]) => daddr === '100.64.0.101').length;
    expect(Math.abs(ours - 2048)).toBeLessThan(300);
  });

  test('releases shards that may lack replies because its link was down, and misses no target', async () => {
    await target.simulateInternet(SEED);
    const file = join(folder, 'rows.csv');
    const flags = scanFlags('198.18.0.0/18', '-p', '80,443', '-r', '4k', '-o', file);
    const running = agent.start(TRANSECT, ...flags);
    await running.says(/[1-9][0-9.]* % sent/);
    for (const seconds of ['1', '0']) {
      await agent.unplug();
      await agent.run('sleep', seconds);
      await agent.plug();
      await agent.takeAddresses();
      for (const prefix of ['198.18.0.0/15', '2001:db8:42::/48']) {
        await agent.routeVia(prefix, target);
      }
      await agent.run('sleep', '2');
    }
    expect(await running.ended()).toBe(0);
    const addresses = slash16('198.18').slice(0, 16384);
    expectTrue(rowsOf(await readFile(file, 'utf8')), addresses, [80, 443]);
  }, 120_000);
});
