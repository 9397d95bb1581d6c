/** IPv6 as surveys need it: source windows, and the detection of aliases, against a real kernel. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { surveyIn } from '../support/scan.js';
import { type Host, Lab, labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const LISTENER = join(ROOT, 'test/support/listener.mjs');
const WINDOW = '2001:db8:5:6::/64';
const ALIASED = '2001:db8:1:1::/64';
const HOSTS = ['2001:db8:1:2::5', '2001:db8:1:2::6'];
const ALLOW = ['--allow-special', '2001:db8::/32'];

describe.skipIf(labIsMissing())('over IPv6', () => {
  let lab: Lab;
  let prober: Host;
  let folder: string;

  beforeAll(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-ipv6-'));
    const target = await lab.host('target');
    prober = await lab.host('prober');
    await target.answerFor('2001:db8:42::/112');
    await target.answerFor(ALIASED);
    for (const host of HOSTS) await target.ip('-6', 'address', 'add', host, 'dev', 'lo', 'nodad');
    await target.ip('-6', 'route', 'add', 'blackhole', '2001:db8:1::/48');
    await target.routeVia(WINDOW, prober);
    await prober.routeVia('2001:db8:42::/112', target);
    await prober.routeVia('2001:db8:1::/48', target);
    await target.start('node', LISTENER, '443').says(/listening/);
  }, 60_000);

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const scan = (...args: string[]) =>
    prober.run(TRANSECT, 'scan', ...args, ...ALLOW, '-c', '2s', '-q', '--data', folder);

  test.each(['tcp-syn:443', 'icmp-echo', 'udp:7'])(
    'probes of %s come from a whole source window, and all replies are found',
    async (probe) => {
      const rows = [
        '-p',
        probe,
        '-r',
        '15000',
        '--rows',
        'all',
        '-f',
        'saddr,daddr',
        '--no-header-row',
      ];
      await prober.run('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=0');
      const { stdout } = await scan(
        '2001:db8:42::/112',
        ...rows,
        '-S',
        WINDOW,
        '--max-targets',
        '20000',
      );
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => line.split(','));
      // The kernel limits its port unreachable errors, so only some UDP probes are answered; all other
      // probes are.
      if (probe.startsWith('udp')) expect(lines.length).toBeGreaterThan(0);
      else expect(new Set(lines.map(([saddr]) => saddr)).size).toBe(20_000);
      const sources = new Set(lines.map(([, daddr]) => daddr));
      expect(sources.size).toBe(lines.length);
      for (const source of sources) expect(source).toMatch(/^2001:db8:5:6:/);
    },
    60_000,
  );

  test('a scan with a source window waits for the link-local address of an interface that has just come up', async () => {
    const shown = await prober.ip('-6', 'address', 'show', 'dev', 'eth0', 'scope', 'link');
    const [, linkLocal = ''] = /inet6 (\S+)/.exec(shown) ?? [];
    await prober.ip('address', 'del', linkLocal, 'dev', 'eth0');
    await prober.run('sysctl', '-qw', 'net.ipv6.conf.eth0.dad_transmits=3');
    await prober.ip('address', 'add', linkLocal, 'dev', 'eth0');
    const flags = ['-p', '443', '-S', WINDOW, '-f', 'saddr', '--no-header-row'];
    const { stdout } = await scan('2001:db8:42::1', ...flags);
    expect(stdout.trim()).toBe('2001:db8:42::1');
  }, 60_000);

  test('a source window is refused for targets on the link, and for connections', async () => {
    const onLink = scan('2001:db8:ffff::77', '-p', '443', '-S', WINDOW);
    await expect(onLink).rejects.toThrow(/targets on the link .* cannot reply/);
    const own = scan('2001:db8:42::1', '-p', '443', '-S', '2001:db8:ffff::/64');
    await expect(own).rejects.toThrow(/must be routed to this host/);
    const connecting = scan('2001:db8:42::1', '-p', 'tcp-connect:443', '-S', WINDOW);
    await expect(connecting).rejects.toThrow(/needs a single source address/);
  }, 60_000);

  test('an aliased prefix gets 16 votes, a prefix of single hosts gets none, and rows are tagged accordingly', async () => {
    const list = join(folder, 'list');
    await writeFile(list, ['2001:db8:1:1::77', ...HOSTS, '2001:db8:1:3::1'].join('\n'));
    const data = join(folder, 'aliases');
    const flags = ['-I', list, '-p', '443,icmp-echo', '--detect-aliases', ...ALLOW];
    const { stdout } = await prober.run(
      TRANSECT,
      ...['scan', ...flags, '-c', '2s', '-r', '500', '--data', data],
      ...['-f', 'saddr,probe,alias_test,alias_votes,aliased', '--no-header-row', '-q'],
    );
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(','));
    const listed = rows.filter(([, , isTest]) => isTest === '0');
    expect(listed.sort()).toEqual(
      ['icmp-echo', 'tcp-syn']
        .flatMap((probe) => [
          ['2001:db8:1:1::77', probe, '0', '16', '1'],
          ...HOSTS.map((host) => [host, probe, '0', '0', '0']),
        ])
        .sort(),
    );
    expect(rows.filter(([, , isTest]) => isTest === '1')).toHaveLength(32);
    const survey = await surveyIn(data);
    const votes = await prober.run(TRANSECT, 'aliases', survey, '--json');
    expect(JSON.parse(votes.stdout)).toEqual([
      { prefix: ALIASED, probe: 'icmp-echo', port: 0, votes: 16, isAliased: true },
      { prefix: ALIASED, probe: 'tcp-syn', port: 443, votes: 16, isAliased: true },
    ]);
    const counts = 'SELECT count(*) AS n FROM results WHERE NOT alias_test AND NOT aliased';
    const asked = await prober.run(TRANSECT, 'query', survey, counts, '-O', 'csv');
    expect(asked.stdout.trim()).toBe('n\n4');
    const parquet = join(folder, 'rows.parquet');
    const fields = ['-f', 'saddr,aliased', '--filter', 'aliased', '-O', 'parquet', '-o', parquet];
    await prober.run(TRANSECT, 'results', survey, ...fields);
    const condition = 'aliased = 1 && alias_votes = 16';
    const plain = await prober.run(TRANSECT, 'results', survey, '--filter', condition);
    const all = await prober.run(TRANSECT, 'results', survey, '-f', '*');
    expect(all.stdout.split('\n')[0]).toMatch(/alias_test,alias_votes,aliased$/);
    expect(plain.stdout.trim().split('\n')).toHaveLength(1 + 34);
  }, 60_000);
});
