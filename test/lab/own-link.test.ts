/**
 * Surveys of hosts on our own link find all of them; targets that null routes, the agent host's own firewall or
 * the agent's blocklist hold back are not reported as silent.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { type Host, Lab, labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const AGENT = join(ROOT, 'transect-agent');
const HOSTS = 20;

describe.skipIf(labIsMissing())('a survey', () => {
  let lab: Lab;
  let prober: Host;
  let target: Host;
  let folder: string;

  beforeEach(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-link-'));
    prober = await lab.host('prober');
    target = await lab.host('target');
  });

  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const scan = async (...args: string[]) => {
    const flags = ['--rows', 'all', '-c', '1500ms', '--data', join(folder, 'data')];
    const running = prober.start(TRANSECT, 'scan', ...args, '-p', '80', ...flags);
    const code = await running.ended();
    const rows = running.stdout.trim().split('\n').slice(1);
    return { code, rows, summary: running.stderr };
  };

  test('of a sparse /18 on the agent’s own link finds every host there, at any rate', {
    timeout: 120_000,
  }, async () => {
    await prober.ip('address', 'add', '100.80.0.2/18', 'dev', 'eth0');
    const there = Array.from({ length: HOSTS }, (_, i) => `100.80.${3 * i}.${7 * i + 1}`);
    for (const address of there) await target.ip('address', 'add', `${address}/18`, 'dev', 'eth0');
    for (const rate of ['5000', '20000']) {
      const allow = ['--allow-special', '100.64.0.0/10'];
      const { code, rows, summary } = await scan('100.80.0.0/18', ...allow, '-r', rate);
      expect(code, summary).toBe(EXIT.DONE);
      expect(rows.filter((row) => there.includes(row)).sort()).toEqual(there.toSorted());
      // All other addresses are not silent but unprobed, because no host has them. The agent itself answers;
      // the broadcast address is not counted as a missing neighbour.
      expect(rows).toHaveLength(HOSTS + 1);
      expect(summary).toMatch(/silent +0 were probed/);
      const nobody = (16_384 - HOSTS - 2).toLocaleString('en');
      expect(summary).toContain(`${nobody} unreachable: no neighbour`);
    }
  });

  test('of IPv6 on the agent’s own link finds every host there', { timeout: 120_000 }, async () => {
    const there = Array.from({ length: HOSTS }, (_, i) => `2001:db8:ffff::5:${(i + 1) * 13}`);
    for (const address of there) {
      await target.ip('-6', 'address', 'add', `${address}/64`, 'dev', 'eth0', 'nodad');
    }
    const allow = ['--allow-special', '2001:db8::/32'];
    const hosts = there.map((text) => text.replace(/:(\d+)$/, (_, low) => `:${low}`));
    const { code, rows, summary } = await scan('2001:db8:ffff::5:0/116', ...allow, '-r', '5000');
    expect(code, summary).toBe(EXIT.DONE);
    expect(rows.sort()).toEqual(hosts.sort());
    expect(summary).toMatch(/silent +0 were probed/);
  });

  test.each([
    [4, '198.18.0.1/24', '198.18.1.1/24', '198.18.0.8/29', '198.18.1.9', '198.18.0.0/15'],
    [
      6,
      '2001:db8:a::1/64',
      '2001:db8:b::1/64',
      '2001:db8:a::8/125',
      '2001:db8:b::9',
      '2001:db8::/32',
    ],
  ] as const)(
    'with two IPv%i subnets on one link asks each host from the address in its own subnet',
    async (family, first, second, elsewhere, host, special) => {
      const length = family === 4 ? 24 : 64;
      const flags = family === 4 ? [] : ['nodad'];
      for (const own of [first, second]) {
        await prober.ip('address', 'add', own, 'dev', 'eth0', ...flags);
      }
      // The host has no address but this one, and so no route back to the other subnet.
      await target.ip(`-${family}`, 'address', 'flush', 'dev', 'eth0', 'scope', 'global');
      await target.ip('address', 'add', `${host}/${length}`, 'dev', 'eth0', ...flags);
      const { code, rows, summary } = await scan(elsewhere, host, '--allow-special', special);
      expect([code, rows], summary).toEqual([EXIT.DONE, [host]]);
    },
    60_000,
  );

  test.each([
    [4, '100.65.0.1/24', '100.65.0.2/24', '198.18.0.0/24', '198.18.0.0/15'],
    [6, '2001:db8:e::1/64', '2001:db8:e::2/64', '2001:db8:5::/120', '2001:db8::/32'],
  ] as const)(
    'over IPv%i receives replies on the interface of its source address, though probes leave through another',
    {
      timeout: 60_000,
    },
    async (family, second, neighbour, prefix, special) => {
      await lab.secondLink(prober, second);
      const flags = family === 4 ? [] : ['nodad'];
      await target.ip('address', 'add', neighbour, 'dev', 'eth0', ...flags);
      await target.answerFor(prefix);
      await prober.routeVia(prefix, target);
      const source = second.split('/')[0] as string;
      const { code, rows, summary } = await scan(prefix, '-S', source, '--allow-special', special);
      expect([code, rows.length], summary).toEqual([EXIT.DONE, 256]);
    },
  );

  test('resolves the gateway again if the kernel’s entry is stale', {
    timeout: 60_000,
  }, async () => {
    await target.answerFor('198.18.0.0/24');
    await prober.routeVia('198.18.0.0/24', target);
    const wrong = ['lladdr', '02:00:00:00:00:99', 'nud', 'stale', 'dev', 'eth0'];
    await prober.ip('neigh', 'replace', target.address, ...wrong);
    const { code, rows } = await scan('198.18.0.0/24', '--allow-special', '198.18.0.0/15');
    expect([code, rows.length]).toEqual([EXIT.DONE, 256]);
  });

  test('warns of a source address that this host does not have', {
    timeout: 60_000,
  }, async () => {
    await target.answerFor('198.18.0.0/28');
    await prober.routeVia('198.18.0.0/28', target);
    const allow = ['--allow-special', '198.18.0.0/15', '-S', '100.99.99.99'];
    const { summary } = await scan('198.18.0.0/28', ...allow);
    expect(summary).toMatch(/--source-ip: no interface has 100\.99\.99\.99/);
  });

  test.each(['tcp-syn', 'tcp-connect'])(
    'by %s never comes from a temporary IPv6 address, which the kernel would prefer',
    { timeout: 60_000 },
    async (probe) => {
      const sysctl = (key: string, value: number) =>
        prober.run('sysctl', '-qw', `net.ipv6.conf.eth0.${key}=${value}`);
      await sysctl('use_tempaddr', 2);
      await sysctl('accept_dad', 0);
      const permanent = prober.addresses[6];
      const managed = [`${permanent}/64`, 'dev', 'eth0'];
      await prober.ip('-6', 'address', 'del', ...managed);
      await prober.ip('-6', 'address', 'add', ...managed, 'mngtmpaddr', 'nodad');
      const prefix = '2001:db8:1::/120';
      await target.answerFor(prefix);
      await prober.routeVia(prefix, target);
      await expect
        .poll(() => prober.ip('-6', 'route', 'get', '2001:db8:1::1'), { timeout: 10_000 })
        .not.toContain(`src ${permanent} `);
      await target.run('nft', 'add', 'table', 'inet', 't');
      await target.run('nft', 'add chain inet t in { type filter hook input priority 0; }');
      const others = `ip6 saddr != ${permanent} tcp dport 80 counter`;
      await target.run('nft', `add rule inet t in ${others}`);
      const flags = ['--allow-special', '2001:db8::/32', '--probe', probe];
      const { code, rows, summary } = await scan(prefix, ...flags);
      expect([code, rows.length], summary).toEqual([EXIT.DONE, 256]);
      expect((await target.run('nft', 'list', 'table', 'inet', 't')).stdout).toMatch(/packets 0 /);
    },
  );

  test('names null routes, and does not report targets behind them as silent', {
    timeout: 60_000,
  }, async () => {
    await target.answerFor('198.18.0.0/24');
    await prober.routeVia('198.18.0.0/24', target);
    await prober.ip('route', 'add', 'blackhole', '198.18.0.128/25');
    const allow = ['--allow-special', '198.18.0.0/15'];
    const { code, rows, summary } = await scan('198.18.0.0/24', ...allow);
    expect([code, rows.length]).toEqual([EXIT.DONE, 128]);
    expect(summary).toMatch(/silent +0 were probed/);
    expect(summary).toMatch(/128 .*no route/);
  });

  test.each([
    // AF_XDP bypasses the netfilter hook at the interface; raw sockets bypass no hook.
    ['netdev', '{ type filter hook egress device eth0 priority 0; }', 'packet', /refused by the/],
    ['inet', '{ type filter hook output priority 0; }', 'raw-ip', /dropped by the host’s firewall/],
  ])(
    'whose probes a firewall of this host drops (%s) is not completed, and gives the reason',
    {
      timeout: 60_000,
    },
    async (family, hook, method, reason) => {
      await target.answerFor('198.18.0.0/28');
      await prober.routeVia('198.18.0.0/28', target);
      await prober.run('nft', 'add', 'table', family, 't');
      await prober.run('nft', `add chain ${family} t out ${hook}`);
      await prober.run('nft', `add rule ${family} t out ip daddr 198.18.0.0/15 drop`);
      const allow = ['--allow-special', '198.18.0.0/15', '--transmit', method];
      const { code, rows, summary } = await scan('198.18.0.0/28', ...allow);
      expect([code, rows], summary).toEqual([EXIT.NOTHING_SENT, []]);
      expect(summary).toMatch(/silent +0 were probed/);
      expect(summary).toMatch(/no probe was sent: 16 /);
      expect(summary).toMatch(reason);
    },
  );

  test('can report which rule of an agent’s own blocklist held a target back', {
    timeout: 60_000,
  }, async () => {
    await target.answerFor('198.18.0.0/28');
    await prober.routeVia('198.18.0.0/28', target);
    const url = `nats://${prober.address}:4222`;
    const store = join(folder, 'nats');
    await prober.start('nats-server', '-js', '-sd', store, '-a', prober.address).says(/ready/);
    const list = join(folder, 'own.txt');
    await writeFile(list, '# of this network\n198.18.0.8/30\n');
    const data = join(folder, 'data');
    await prober.start(TRANSECT, 'coordinator', '--nats', url, '--data', data).says(/leading/);
    await prober.start(AGENT, '--nats', url, '--vantage', 'here', '-b', list).says(/ready/);
    const transect = async (...args: string[]) => {
      return (await prober.run(TRANSECT, ...args, '--nats', url)).stdout;
    };
    const flags = ['-p', '80', '-c', '500ms', '--allow-special', '198.18.0.0/15'];
    const survey = (await transect('launch', '198.18.0.0/28', ...flags)).trim();
    for (let i = 0; i < 100; i++) {
      if ((await transect('status', survey)).includes('done')) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(await transect('lookup', survey, '198.18.0.9:80')).toMatch(/198\.18\.0\.8\/30/);
    expect(await transect('lookup', survey, '198.18.0.9:80')).not.toMatch(/silent/);
    const status = JSON.parse(await transect('status', survey, '--json'));
    expect(status).toMatchObject({ probesSent: 12, blocked: 4, targetsCovered: 16 });
    expect(await transect('verify', survey)).toMatch(/complete/);
    // A blocklist from a pipe is read once, and applies together with the exclusions in force.
    await transect('exclude', 'add', '198.18.0.0/30', '--reason', 'mail');
    const line = `${TRANSECT} launch 198.18.0.0/28 ${flags.join(' ')} --nats ${url} -b <(echo 198.18.0.4/30)`;
    const next = (await prober.run('bash', '-c', line)).stdout.trim();
    expect(JSON.parse(await transect('status', next, '--json'))).toMatchObject({ targets: 8 });
    await transect('exclude', 'lift', '198.18.0.0/30', '--reason', 'mail of May');
    const third = (await transect('launch', '198.18.0.0/28', ...flags)).trim();
    expect(JSON.parse(await transect('status', third, '--json'))).toMatchObject({ targets: 16 });
    expect(await transect('exclude', 'list')).toMatch(/198\.18\.0\.0\/30/);
  });
});
