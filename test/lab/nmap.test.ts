/** The states that we find, compared with nmap's, port by port, on the same host with the same firewall. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeNamed } from '../../shared/probe/probe-registry.js';
import { type Host, Lab, labIsMissing } from './lab.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const TRANSECT = join(ROOT, 'transect');
const LISTENER = join(ROOT, 'test/support/listener.mjs');
const UDP_ECHO = join(ROOT, 'test/support/udp-echo.py');
const TARGET = { 4: '198.18.0.1', 6: '2001:db8:42::1' } as const;

const OPEN = 7000;
const CLOSED = 7001;
const DROPPED = 7002;
const RESET = 7003;
const FIRST_REJECTED = 7010;
const REJECTS = {
  4: [
    ...['net-unreachable', 'host-unreachable', 'prot-unreachable', 'port-unreachable'],
    ...['net-prohibited', 'host-prohibited', 'admin-prohibited'],
  ],
  6: [
    ...['no-route', 'admin-prohibited', 'addr-unreachable', 'port-unreachable'],
    ...['policy-fail', 'reject-route'],
  ],
} as const;

/** Our probes and nmap's scans of the same name. */
const SCANS = {
  'tcp-syn': '-sS',
  'tcp-ack': '-sA',
  'tcp-fin': '-sF',
  'tcp-null': '-sN',
  'tcp-xmas': '-sX',
  'tcp-window': '-sW',
  'tcp-maimon': '-sM',
  udp: '-sU',
  'sctp-init': '-sY',
  'tcp-connect': '-sT',
} as const;

/**
 * States in which we differ: over IPv6, the kernel refuses a connection on a port unreachable, as over IPv4,
 * and `nmap -sT` says "no response".
 */
const OURS_ALONE: Record<string, Record<string, string>> = {
  'tcp-connect over IPv6': { [FIRST_REJECTED + REJECTS[6].indexOf('port-unreachable')]: 'closed' },
};

function rulesOf(family: 4 | 6): string {
  const nf = family === 4 ? 'ipv4' : 'ipv6';
  const icmp = family === 4 ? 'icmp' : 'icmpv6';
  return REJECTS[family]
    .map((type, i) => {
      const port = FIRST_REJECTED + i;
      return `meta nfproto ${nf} meta l4proto { tcp, udp, sctp } th dport ${port} reject with ${icmp} type ${type}`;
    })
    .join('\n');
}

describe.skipIf(labIsMissing())('states of ports', () => {
  let lab: Lab;
  let prober: Host;
  let folder: string;

  beforeAll(async () => {
    lab = await Lab.open();
    folder = await mkdtemp(join(tmpdir(), 'transect-nmap-'));
    const target = await lab.host('target');
    prober = await lab.host('prober');
    const limits = [
      'ipv4.icmp_ratelimit=0',
      'ipv4.icmp_msgs_per_sec=100000',
      'ipv6.icmp.ratelimit=0',
    ];
    for (const limit of limits) await target.run('sysctl', '-qw', `net.${limit}`);
    await target.run(
      'nft',
      `table inet lab { chain input { type filter hook input priority 0; policy accept;
         meta l4proto { tcp, udp, sctp } th dport ${DROPPED} drop
         tcp dport ${RESET} reject with tcp reset
         ${rulesOf(4)}
         ${rulesOf(6)}
       }
      }`,
    );
    await target.start('node', LISTENER, `${OPEN}`).says(/listening/);
    await target.start('python3', UDP_ECHO, `${OPEN}`).says(/listening/);
    for (const [family, address] of Object.entries(TARGET)) {
      await target.ip(`-${family}`, 'address', 'add', address, 'dev', 'lo');
      await prober.routeVia(address, target);
    }
  }, 60_000);

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const portsOf = (family: 4 | 6) => [
    ...[OPEN, CLOSED, DROPPED, RESET],
    ...REJECTS[family].map((_, i) => FIRST_REJECTED + i),
  ];

  /** By port. */
  async function nmapStates(family: 4 | 6, scan: string): Promise<Record<string, string>> {
    const flags = ['-n', '-Pn', '-T4', '--max-retries', '1', '-oX', '-', `-${family}`, scan];
    const ports = ['-p', portsOf(family).join(',')];
    const { stdout } = await prober.run(
      'nmap',
      ...flags.filter((flag) => flag !== '-4'),
      ...ports,
      TARGET[family],
    );
    const found = stdout.matchAll(/<port protocol="\w+" portid="(\d+)"><state state="([^"]+)"/g);
    return Object.fromEntries([...found].map(([, port, state]) => [port, state]));
  }

  /** By probe and port. */
  async function ourStates(
    family: 4 | 6,
    probes: readonly string[],
  ): Promise<Record<string, Record<string, string>>> {
    const ports = portsOf(family);
    const entries = probes.flatMap((probe) => ports.map((port) => `${probe}:${port}`));
    const allow = ['198.18.0.0/15', '2001:db8::/32'].flatMap((range) => ['--allow-special', range]);
    const flags = ['-c', '2s', '-r', '1000', '--rows', 'all', '-O', 'ndjson', '--data', folder];
    const { stdout } = await prober.run(
      TRANSECT,
      ...['scan', TARGET[family], '-p', entries.join(','), ...allow, ...flags],
      ...['-f', 'probe,sport,state', '-q'],
    );
    const states: Record<string, Record<string, string>> = {};
    for (const probe of probes) {
      const { silence } = probeNamed(probe);
      states[probe] = Object.fromEntries(ports.map((port) => [port, silence]));
    }
    for (const line of stdout.trim().split('\n')) {
      const { probe, sport, state } = JSON.parse(line);
      states[probe]![sport] = state;
    }
    return states;
  }

  describe.each([4, 6] as const)('over IPv%i', (family) => {
    let ours: Record<string, Record<string, string>>;
    beforeAll(async () => {
      const packets = Object.keys(SCANS).filter((probe) => probe !== 'tcp-connect');
      // Connections of the kernel cannot share a survey with packets of our own.
      ours = {
        ...(await ourStates(family, packets)),
        ...(await ourStates(family, ['tcp-connect'])),
      };
    }, 90_000);

    test.each(Object.entries(SCANS))(
      '%s agrees with nmap about each port',
      async (probe, scan) => {
        const theirs = await nmapStates(family, scan);
        const differences = OURS_ALONE[`${probe} over IPv${family}`] ?? {};
        expect(ours[probe]).toEqual({ ...theirs, ...differences });
      },
      60_000,
    );

    test('icmp-echo finds that the host is up, as nmap -PE does', async () => {
      const flags = ['-n', '-sn', '-PE', ...(family === 6 ? ['-6'] : [])];
      const { stdout } = await prober.run('nmap', ...flags, TARGET[family]);
      expect(stdout).toMatch(/Host is up/);
      const allow = family === 4 ? '198.18.0.0/15' : '2001:db8::/32';
      const { stdout: rows } = await prober.run(
        TRANSECT,
        ...['scan', TARGET[family], '-p', 'icmp-echo', '--allow-special', allow, '-c', '1s'],
        ...['-f', 'saddr,state', '--no-header-row', '-q', '--data', folder],
      );
      expect(rows.trim()).toBe(`${TARGET[family]},up`);
    });
  });
});
