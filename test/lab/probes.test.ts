/** Every probe against real kernels: three agents, one kill, and the truth about each target. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Host, Lab, labIsMissing, type Running } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const AGENT = join(ROOT, 'transect-agent');
const LISTENER = join(ROOT, 'test/support/listener.mjs');
const UDP_ECHO = join(ROOT, 'test/support/udp-echo.py');
const PREFIX = { 4: '198.18.0.0/16', 6: '2001:db8:42::/112' } as const;
const ADDRESSES = 65_536;

/**
 * Ports of the target: 8080 is open, 8081 closed, 8082 dropped by its firewall, 8083 rejected by it as an
 * unreachable host (a rejection as prohibited slows the survey: `icmp.test.ts`). UDP 53 answers, 54 is
 * closed, 55 is dropped.
 */
const FIREWALL = `
table inet lab {
  chain input {
    type filter hook input priority 0; policy accept;
    meta l4proto { tcp, sctp } th dport 8082 drop
    udp dport 55 drop
    meta nfproto ipv4 tcp dport 8083 reject with icmp type host-unreachable
    meta nfproto ipv6 tcp dport 8083 reject with icmpv6 type addr-unreachable
  }
}`;

/** The result that a survey must have for each address: entry of `--ports`, class and state; no row if it is silent. */
const TRUTH: Record<string, readonly [classification: string, state: string] | undefined> = {
  'tcp-syn:8080': ['synack', 'open'],
  'tcp-syn:8081': ['rst', 'closed'],
  'tcp-syn:8082': undefined,
  'tcp-syn:8083': ['icmp', 'filtered'],
  'tcp-ack:8080': ['rst', 'unfiltered'],
  'tcp-ack:8082': undefined,
  'tcp-fin:8080': undefined,
  'tcp-fin:8081': ['rst', 'closed'],
  'tcp-null:8080': undefined,
  'tcp-null:8081': ['rst', 'closed'],
  'tcp-xmas:8080': undefined,
  'tcp-xmas:8081': ['rst', 'closed'],
  'tcp-window:8081': ['rst', 'closed'],
  'tcp-maimon:8081': ['rst', 'closed'],
  'icmp-echo': ['echoreply', 'up'],
  'icmp-timestamp': ['timestampreply', 'up'],
  'udp:53': ['udp', 'open'],
  'udp:54': ['unreach', 'closed'],
  'udp:55': undefined,
  // This kernel has no SCTP: it says so by a protocol unreachable, or, over IPv6, an unknown next header.
  'sctp-init:9900': ['icmp', 'filtered'],
};

/**
 * A kernel that answers for a prefix because of a local route sends ICMPv6 errors from an interface address.
 * Such an error does not come from the target, so "port unreachable" counts as sent by a firewall.
 */
const TRUTH_6: typeof TRUTH = { ...TRUTH, 'udp:54': ['icmp', 'filtered'] };

describe.skipIf(labIsMissing())('every probe, with three agents, against a real kernel', () => {
  let lab: Lab;
  let broker: Host;
  let target: Host;
  let agents: Host[];
  let folder: string;
  let url: string;

  beforeEach(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-probes-'));
    broker = await lab.host('broker');
    target = await lab.host('target');
    const limits = ['ipv4.icmp_ratelimit=0', 'ipv4.icmp_msgs_per_sec=1000000'];
    const more = ['ipv4.icmp_msgs_burst=1000000', 'ipv6.icmp.ratelimit=0'];
    for (const limit of [...limits, ...more]) await target.run('sysctl', '-qw', `net.${limit}`);
    await target.run('nft', FIREWALL);
    await target.start('node', LISTENER, '8080').says(/listening/);
    await target.start('python3', UDP_ECHO, '53').says(/listening/);
    agents = [];
    for (const name of ['north', 'south', 'west']) agents.push(await lab.host(name));
    for (const prefix of Object.values(PREFIX)) {
      await target.answerFor(prefix);
      for (const agent of agents) await agent.routeVia(prefix, target);
    }
    url = `nats://${broker.address}:4222`;
    const flags = ['-js', '-sd', join(folder, 'nats'), '-a', broker.address];
    await broker.start('nats-server', ...flags).says(/ready/);
    const data = ['--data', join(folder, 'data')];
    await broker.start(TRANSECT, 'coordinator', '--nats', url, ...data).says(/coordinator ready/);
  });

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const transect = async (...args: string[]) =>
    (await broker.run(TRANSECT, ...args, '--nats', url)).stdout;
  const join3 = async (): Promise<Running[]> => {
    const started = agents.map((host) => host.start(AGENT, '--nats', url));
    for (const agent of started) await agent.says(/agent ready/);
    return started;
  };

  /** Waits for the end of a survey, and checks that each target was probed and is accounted for. */
  async function untilDone(survey: string, targets: number): Promise<void> {
    let status: { state: string } | undefined;
    while (status?.state !== 'done') {
      await new Promise((resolve) => setTimeout(resolve, 500));
      status = JSON.parse(await transect('status', survey, '--json'));
    }
    expect(status).toMatchObject({ targets, targetsCovered: targets, sendFailed: 0 });
    const verdict = JSON.parse(await transect('verify', survey, '--json'));
    expect(verdict).toMatchObject({ targetsProbed: targets, examples: [] });
  }

  /** By entry of `--ports`: class, state, number of rows and of addresses. */
  async function foundBy(survey: string): Promise<Record<string, unknown[]>> {
    const sql = `SELECT probe, sport, classification, state, count(*) AS n, count(DISTINCT saddr) AS hosts
      FROM results GROUP BY ALL ORDER BY ALL`;
    const counted = (await transect('query', survey, sql, '-O', 'ndjson')).trim().split('\n');
    const found = counted.map((line) => {
      const { probe, sport, classification, state, n, hosts } = JSON.parse(line);
      const entry = sport === null ? probe : `${probe}:${sport}`;
      return [entry, [classification, state, Number(n), Number(hosts)]] as const;
    });
    expect(new Set(found.map(([entry]) => entry)).size).toBe(found.length);
    return Object.fromEntries(found);
  }

  test.each([1, 2])(
    'finds the truth of 65,536 addresses by tcp-connect, too, round %i',
    {
      timeout: 300_000,
    },
    async () => {
      const [north] = await join3();
      const flags = ['--allow-special', '198.18.0.0/15', '-c', '2s', '-r', '9k', '--rows', 'all'];
      const what = ['-p', '8080,8081', '--probe', 'tcp-connect'];
      const survey = (await transect('launch', PREFIX[4], ...what, ...flags)).trim();
      await new Promise((resolve) => setTimeout(resolve, 4000));
      north?.kill('SIGKILL');
      await untilDone(survey, 2 * ADDRESSES);
      expect(await foundBy(survey)).toEqual({
        'tcp-connect:8080': ['connected', 'open', ADDRESSES, ADDRESSES],
        'tcp-connect:8081': ['refused', 'closed', ADDRESSES, ADDRESSES],
      });
    },
  );

  test.each([
    { family: 4 as const, round: 1 },
    { family: 4 as const, round: 2 },
    { family: 6 as const, round: 1 },
    { family: 6 as const, round: 2 },
  ])(
    'finds the truth of 65,536 addresses over IPv$family, round $round',
    {
      timeout: 300_000,
    },
    async ({ family }) => {
      const entries = Object.keys(TRUTH).filter(
        (entry) => family === 4 || entry !== 'icmp-timestamp',
      );
      const [north] = await join3();
      const allow = ['198.18.0.0/15', '2001:db8::/32'].flatMap((range) => [
        '--allow-special',
        range,
      ]);
      const limits = ['-c', '2s', '-r', '40k', '--rows', 'all'];
      const survey = (
        await transect('launch', PREFIX[family], '-p', entries.join(','), ...allow, ...limits)
      ).trim();
      await new Promise((resolve) => setTimeout(resolve, 6000));
      north?.kill('SIGKILL');
      await untilDone(survey, entries.length * ADDRESSES);
      const expected = entries.flatMap((entry) => {
        const truth = (family === 4 ? TRUTH : TRUTH_6)[entry];
        return truth === undefined ? [] : [[entry, [...truth, ADDRESSES, ADDRESSES]]];
      });
      expect(await foundBy(survey)).toEqual(Object.fromEntries(expected));
    },
  );
});
