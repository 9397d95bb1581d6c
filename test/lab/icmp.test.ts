/** Findings from ICMP errors of a real kernel: its rate limit, and administrative prohibition. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { surveyIn } from '../support/scan.js';
import { type Host, Lab, labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const LIMITED = { 4: '198.18.1.1', 6: '2001:db8:41::1' } as const;
/** The second quarter of `AROUND`, a /24 or a /120, prohibits probes to port 7; all other addresses answer. */
const AROUND = { 4: '198.18.8.0/22', 6: '2001:db8:42::/118' } as const;
const PROHIBITING = { 4: '198.18.9.0/24', 6: '2001:db8:42::100/120' } as const;
const SLOWED = { 4: '198.18.9.0/24', 6: '2001:db8:42::/48' } as const;

const families = [4, 6] as const;

const UDP_PORTS = ['-p', 'udp:1-1000', '-r', '2000'];

describe.skipIf(labIsMissing())('ICMP errors', () => {
  let lab: Lab;
  let target: Host;
  let prober: Host;
  let folder: string;

  beforeAll(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-icmp-'));
    target = await lab.host('target');
    prober = await lab.host('prober');
    for (const family of families) {
      for (const prefix of [LIMITED[family], AROUND[family]]) {
        await target.answerFor(prefix);
        await prober.routeVia(prefix, target);
      }
    }
    await target.run(
      'nft',
      `table inet lab { chain input { type filter hook input priority 0; policy accept;
         ip daddr ${PROHIBITING[4]} tcp dport 7 reject with icmp type admin-prohibited
         ip6 daddr ${PROHIBITING[6]} tcp dport 7 reject with icmpv6 type admin-prohibited
       }
      }`,
    );
  }, 60_000);

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function setLimits(isLimited: boolean): Promise<void> {
    const millis = isLimited ? 1000 : 0;
    const all = 1_000_000;
    const limits = [`ipv4.icmp_ratelimit=${millis}`, `ipv6.icmp.ratelimit=${millis}`];
    for (const limit of limits) await target.run('sysctl', '-qw', `net.${limit}`);
    // In older kernels, the limit on all ICMP errors together applies to the whole machine, and cannot
    // be set for a namespace.
    for (const name of ['icmp_msgs_per_sec', 'icmp_msgs_burst']) {
      await target.run('sysctl', '-qw', `net.ipv4.${name}=${all}`).catch(() => {});
    }
  }

  /** Runs a scan. @returns its summary, its rows, and its manifest */
  async function scan(...args: string[]) {
    const data = await mkdtemp(join(folder, 'scan-'));
    const allow = ['198.18.0.0/15', '2001:db8::/32'].flatMap((range) => ['--allow-special', range]);
    const fields = ['-f', 'probe,saddr,sport,state', '--no-header-row', '--rows', 'all'];
    const { stdout, stderr } = await prober.run(
      TRANSECT,
      ...['scan', ...args, ...allow, ...fields, '-c', '2s', '--data', data],
    );
    const survey = await surveyIn(data);
    const manifest = await readFile(join(survey, 'manifest.json'), 'utf8');
    return { summary: stderr, rows: stdout.trim().split('\n'), manifest: JSON.parse(manifest) };
  }

  test.each(families)(
    'of a host with a rate limit are reported as limited, over IPv%i',
    async (family) => {
      await setLimits(true);
      const { summary, rows, manifest } = await scan(LIMITED[family], ...UDP_PORTS);
      expect(rows.length).toBeLessThan(100);
      expect(summary).toMatch(/icmp_limited .*\) limit the rate of their ICMP errors/);
      // Over IPv6, the kernel sends errors from an address of its interface.
      const network = family === 4 ? [LIMITED[4]] : [target.addresses[6], '2001:db8:41::/64'];
      expect(manifest.findings.icmpLimited.sort()).toEqual(network.sort());
    },
    60_000,
  );

  test.each(families)(
    'of a host without a rate limit show all its ports as closed, and no limit is reported, over IPv%i',
    async (family) => {
      await setLimits(false);
      const { summary, rows, manifest } = await scan(LIMITED[family], ...UDP_PORTS);
      expect(rows).toHaveLength(1000);
      expect(summary).not.toContain('icmp_limited');
      expect(manifest.findings).toEqual({ icmpLimited: [], slowedNetworks: [] });
    },
    60_000,
  );

  test.each(families)(
    'that prohibit probes slow down the probing of their network, but every target is probed, over IPv%i',
    async (family) => {
      await setLimits(false);
      const flags = ['-p', 'tcp-syn:7', '-r', '2000'];
      const { summary, rows, manifest } = await scan(AROUND[family], ...flags);
      expect(rows).toHaveLength(1024);
      expect(rows.filter((row) => row.endsWith(',filtered'))).toHaveLength(256);
      expect(rows.filter((row) => row.endsWith(',closed'))).toHaveLength(768);
      expect(summary).toMatch(/slowed .*\) prohibit probes/);
      expect(summary).not.toContain('icmp_limited');
      expect(manifest.findings.slowedNetworks).toEqual([SLOWED[family]]);
      expect(manifest.counts).toMatchObject({ probesSent: 1024, prohibited: 0 });
    },
    120_000,
  );
});
