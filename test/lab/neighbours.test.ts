/** The probes `arp` and `nd` on the agent's own link, compared with nmap's. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { type Host, Lab, labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const HOSTS = 20;
const there = Array.from({ length: HOSTS }, (_, i) => `100.80.${3 * i}.${7 * i + 1}`);
const there6 = Array.from({ length: HOSTS }, (_, i) => `2001:db8:ffff::5:${(i + 1) * 13}`);

describe.skipIf(labIsMissing())('neighbours on the link', () => {
  let lab: Lab;
  let prober: Host;
  let target: Host;
  let folder: string;

  beforeAll(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-neighbours-'));
    prober = await lab.host('prober');
    target = await lab.host('target');
    await prober.ip('address', 'add', '100.80.0.2/18', 'dev', 'eth0');
    for (const address of there) await target.ip('address', 'add', `${address}/18`, 'dev', 'eth0');
    for (const address of there6) {
      await target.ip('-6', 'address', 'add', `${address}/64`, 'dev', 'eth0', 'nodad');
    }
    // A firewall that drops all IPv4, and all of IPv6 but neighbour discovery, hides no neighbour.
    await target.run('nft', 'add table inet t');
    await target.run(
      'nft',
      'add chain inet t in { type filter hook input priority 0; policy drop; }',
    );
    await target.run('nft', 'add rule inet t in icmpv6 type nd-neighbor-solicit accept');
    await target.run('nft', 'add rule inet t in icmpv6 type nd-neighbor-advert accept');
  }, 60_000);

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const allow = ['100.64.0.0/10', '198.18.0.0/15', '2001:db8::/32'];
  const scan = async (...args: string[]) => {
    const flags = [...allow.flatMap((range) => ['--allow-special', range]), '-c', '1500ms'];
    const running = prober.start(TRANSECT, 'scan', ...args, ...flags, '--data', folder);
    const code = await running.ended();
    return { code, rows: running.stdout.trim().split('\n').slice(1), summary: running.stderr };
  };
  const macOf = async (host: Host) =>
    /link\/ether (\S+)/.exec(await host.ip('link', 'show', 'dev', 'eth0'))?.[1];

  test.each([
    ['arp', '100.80.0.0/18', there, 16_382], // without the prober and the broadcast address
    ['nd', '2001:db8:ffff::5:0/114', there6, 16_384],
  ] as const)(
    'by %s are exactly the hosts that are there, at any rate, each with its MAC address',
    async (probe, range, expected, asked) => {
      const mac = await macOf(target);
      for (const rate of ['5000', '20000']) {
        const fields = ['-f', 'saddr,state,mac'];
        const { code, rows, summary } = await scan(range, '-p', probe, '-r', rate, ...fields);
        expect(code, summary).toBe(EXIT.DONE);
        expect(rows.toSorted()).toEqual(expected.map((each) => `${each},up,${mac}`).toSorted());
        const silent = (asked - HOSTS).toLocaleString('en');
        expect(summary).toContain(`silent        ${silent} were probed and did not reply`);
      }
    },
    60_000,
  );

  test('are asked from our address in their own subnet, since some answer to no other', async () => {
    await prober.ip('address', 'add', '198.18.0.1/24', 'dev', 'eth0');
    await target.ip('address', 'add', '198.18.0.9/24', 'dev', 'eth0');
    await target.run('sysctl', '-qw', 'net.ipv4.conf.eth0.arp_ignore=2');
    const both = [there[0] as string, '198.18.0.9'];
    const { rows, summary } = await scan(...both, '-p', 'arp', '-f', 'saddr,daddr');
    expect(rows.toSorted(), summary).toEqual([`${both[0]},100.80.0.2`, '198.18.0.9,198.18.0.1']);
  }, 60_000);

  test('are those that nmap finds', async () => {
    const { stdout } = await prober.run('nmap', '-n', '-sn', '-PR', '100.80.0.0/22');
    const theirs = [...stdout.matchAll(/report for (\S+)/g)].map(([, address]) => address);
    const { rows } = await scan('100.80.0.0/22', '-p', 'arp', '-f', 'saddr', '-r', '5000');
    // nmap also reports the prober itself, although it sends no request to that address.
    expect(rows.toSorted()).toEqual(theirs.filter((each) => each !== '100.80.0.2').toSorted());
  }, 60_000);

  // The prober itself, 100.80.0.2, is no neighbour.
  test('are asked twice with -P 2, unless they have answered', async () => {
    const { rows, summary } = await scan('100.80.0.0/24', '-p', 'arp', '-P', '2', '-r', '1000');
    expect(rows).toHaveLength(1);
    expect(summary).toContain('probes        509');
  }, 60_000);

  test('do not include addresses beyond a gateway, which are not asked and are counted as unreachable', async () => {
    await prober.routeVia('198.18.0.0/24', target);
    const both = await scan('100.80.0.0/24', '198.18.0.0/24', '-p', 'arp', '-r', '1000');
    expect(both.code).toBe(EXIT.DONE);
    expect(both.rows).toHaveLength(1);
    expect(both.summary).toContain('257 unreachable: no route');
    const none = await scan('198.18.0.0/24', '-p', 'arp');
    expect(none.code).not.toBe(EXIT.DONE);
    expect(none.summary).toMatch(/no target is on a link of this host/);
  }, 60_000);
});
