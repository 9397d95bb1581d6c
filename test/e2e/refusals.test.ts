/** Refusals come before any packet, with a named exit code and a line that says where the error is. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../shared/base/exit-codes.js';
import { scratch, start } from '../support/scan.js';

let folder: Awaited<ReturnType<typeof scratch>>;

beforeAll(async () => {
  folder = await scratch();
  const write = (name: string, text: string) => writeFile(join(folder.path, name), text);
  await write('bad.txt', '127.0.0.1\n\n# comment\n1.2.3.400 # no\n');
  await write('badport.yaml', 'targets: [127.1.0.0/24]\nports: 80,99999\n');
  await write('badkey.yaml', 'targets: [127.1.0.0/24]\nports: 80\nspeed: 9\n');
  await write('badtarget.yaml', 'targets:\n  - 127.1.0.0/24\n  - 1.2.3\nports: 80\n');
  await write('noports.yaml', 'targets: [127.1.0.0/24]\n');
  await write('notargets.yaml', 'ports: 80\n');
  await write('broken.yaml', 'targets: [127.1.0.0/24\nports: 80\n');
  await write('filed.yaml', 'targets: {file: bad.txt}\nports: 80\n');
});
afterAll(() => folder[Symbol.asyncDispose]());

const LOOP = ['127.1.0.0/24', '--allow-special', '127.0.0.0/8'];
const NOWHERE = ['--nats', 'nats://127.0.0.1:1'];

const CASES: [what: string, args: string[], code: number, line: RegExp][] = [
  ['an unknown command', ['frobnicate'], EXIT.USAGE, /unknown command 'frobnicate'/],
  [
    'an unknown flag',
    ['scan', ...LOOP, '-p', '80', '--fast'],
    EXIT.USAGE,
    /unknown option '--fast'/,
  ],
  ['a flag without its value', ['scan', ...LOOP, '-p'], EXIT.USAGE, /argument missing/],
  [
    'stdin for two lists',
    ['plan', '-w', '-', '-b', '-', '-p', '80'],
    EXIT.USAGE,
    /stdin|standard input/,
  ],
  [
    'several lists that are missing',
    ['plan', '-w', 'no1', '-b', 'no2', '-I', 'no3', '--pairs-file', 'no4', '-p', '80'],
    EXIT.USAGE,
    /no\d: cannot read the file/,
  ],
  ['no targets', ['scan', '-p', '80'], EXIT.USAGE, /TARGETS: name at least one target/],
  ['no ports', ['scan', ...LOOP], EXIT.USAGE, /--ports: name the ports/],
  [
    'a malformed prefix',
    ['scan', '1.2.3.4/33', '-p', '80'],
    EXIT.USAGE,
    /TARGETS, "1\.2\.3\.4\/33": not an IPv4/,
  ],
  ['port 0', ['scan', ...LOOP, '-p', '0'], EXIT.USAGE, /--ports, "0": a port is/],
  ['port 70000', ['scan', ...LOOP, '-p', '70000'], EXIT.USAGE, /--ports, "70000": a port is/],
  [
    'cross-checks of a scan',
    ['scan', ...LOOP, '-p', '80', '--cross-check', '4'],
    EXIT.USAGE,
    /--cross-check: all agents of a scan are yours/,
  ],
  ['cross-checks of none', ['plan', ...LOOP, '-p', '80', '--cross-check', '0'], EXIT.USAGE, /"0"/],
  [
    'canaries without a secret',
    ['canary', 'check', 'xyz', '--prefix', '198.18.5.0/24', '--secret', 'no-file', ...NOWHERE],
    EXIT.USAGE,
    /--secret, no-file: the file is missing/,
  ],
  ['a negative rate', ['scan', ...LOOP, '-p', '80', '-r', '-1'], EXIT.USAGE, /--rate, "-1"/],
  [
    'an invalid duration',
    ['scan', ...LOOP, '-p', '80', '-c', 'soon'],
    EXIT.USAGE,
    /--cooldown, "soon"/,
  ],
  [
    'an unknown probe',
    ['scan', ...LOOP, '-p', '80', '--probe', 'x'],
    EXIT.USAGE,
    /--probe, "x".*tcp-syn/,
  ],
  ...[
    ['--transmit foo', /--transmit, "foo": no such transmit method; there are: af-xdp/],
    ['--senders 0', /--senders, "0": a number of senders is/],
    ['--vlan 4095', /--vlan, "4095": a VLAN identifier is/],
    ['-S 1.2.3', /--source-ip, "1\.2\.3": not an IPv4/],
    ['-S ::1,::x', /--source-ip, "::x": not an IPv6/],
    ['-s 80,90', /--source-port, "80,90": source ports are one port or one range/],
    ['-G 00:11', /--gateway-mac, "00:11": not an Ethernet/],
    ['--probe tcp-syn:ttl', /--probe, "ttl": options of a probe are name=value/],
    ['--probe tcp-syn:ttl=0', /--probe, "tcp-syn:ttl=0": not a whole number from 1 to 255/],
    [
      '--probe tcp-syn:layout=mac',
      /--probe, "tcp-syn:layout=mac": no such layout; there are: none, mss/,
    ],
    ['--probe tcp-syn:mss=9', /--probe, "mss": tcp-syn has no such option/],
    ['--probe udp:payload=dsn', /--probe, "udp:payload=dsn": no such payload; there are: by-port/],
    ['--probe udp:payload=@none', /--probe, none: cannot read the payload/],
    ['--probe tcp-syn --probe udp', /--probe, "udp": is given, but no port uses it/],
    ['--probe icmp-echo', /--ports, "80": icmp-echo has no ports/],
    ['-p icmp-echo:7', /--ports, "icmp-echo:7": icmp-echo has no ports/],
    ['-p udp', /--ports, "udp": udp needs ports, such as udp:53/],
    ['-p http', /--ports, "http": no such probe; there are: tcp-syn/],
    ['-p 80,tcp-connect:80', /--probe: tcp-connect cannot share a survey/],
    ['-P 0', /--probes, "0": must be a whole number from 1 to 10/],
    ['-n 0%', /--max-targets, "0": must be a percentage above 0/],
    ['--min-hitrate 101', /--min-hitrate, "101": must be a percentage/],
    ['--output-filter sport2=80', /--output-filter, "sport2": no such field/],
    ['--output-filter success', /--output-filter, "success": SQL needs stored rows/],
  ].map(([flags, line]): [string, string[], number, RegExp] => [
    `${flags}`,
    ['scan', ...LOOP, '-p', '80', ...`${flags}`.split(' ')],
    EXIT.USAGE,
    line as RegExp,
  ]),
  [
    'an unknown field',
    ['scan', ...LOOP, '-p', '80', '-f', 'saddr,x'],
    EXIT.USAGE,
    /--output-fields, "x".*saddr/,
  ],
  [
    'an unknown output format',
    ['scan', ...LOOP, '-p', '80', '-O', 'xml'],
    EXIT.USAGE,
    /--output-module, "xml".*csv, ndjson/,
  ],
  ['zero agents', ['scan', ...LOOP, '-p', '80', '--agents', '0'], EXIT.USAGE, /--agents, "0"/],
  [
    'an unreadable list',
    ['scan', '-w', 'none.txt', '-p', '80'],
    EXIT.USAGE,
    /--allowlist-file, none\.txt: cannot read/,
  ],
  [
    'a bad line in a list',
    ['scan', '-w', 'bad.txt', '-p', '80'],
    EXIT.USAGE,
    /bad\.txt:4, "1\.2\.3\.400": not an IPv4/,
  ],
  [
    'targets that are all excluded',
    ['scan', ...LOOP, '-p', '80', '--exclude', '127.0.0.0/8'],
    EXIT.USAGE,
    /no targets are left/,
  ],
  [
    'loopback that is not allowed',
    ['scan', '127.1.0.0/24', '-p', '80'],
    EXIT.REFUSED,
    /"127\.1\.0\.0\/24": Loopback .*--allow-special/,
  ],
  [
    'public targets without contact',
    ['scan', '9.9.9.0/24', '-p', '80'],
    EXIT.REFUSED,
    /"9\.9\.9\.0\/24".*--contact and --purpose/,
  ],
  [
    'public targets without purpose',
    ['scan', '9.9.9.0/24', '-p', '80', '--contact', 'a@b.org'],
    EXIT.REFUSED,
    /needs --purpose/,
  ],
  [
    'a survey file that is missing',
    ['launch', 'none.yaml', ...NOWHERE],
    EXIT.USAGE,
    /none\.yaml: cannot read/,
  ],
  [
    'a survey file that is no YAML',
    ['launch', 'broken.yaml', ...NOWHERE],
    EXIT.USAGE,
    /broken\.yaml:\d/,
  ],
  [
    'a bad port in a survey file',
    ['launch', 'badport.yaml', ...NOWHERE],
    EXIT.USAGE,
    /badport\.yaml:2, "99999": ports: a port is/,
  ],
  [
    'an unknown key in a survey file',
    ['launch', 'badkey.yaml', ...NOWHERE],
    EXIT.USAGE,
    /badkey\.yaml:3, "speed": no such key/,
  ],
  [
    'a bad target in a survey file',
    ['launch', 'badtarget.yaml', ...NOWHERE],
    EXIT.USAGE,
    /badtarget\.yaml:3, "1\.2\.3": not an IPv4/,
  ],
  [
    'a missing key in a survey file',
    ['launch', 'notargets.yaml', ...NOWHERE],
    EXIT.USAGE,
    /notargets\.yaml.*"targets": targets: this key is missing/,
  ],
  [
    'a survey file without ports',
    ['launch', 'noports.yaml', ...NOWHERE],
    EXIT.USAGE,
    /--ports: name the ports/,
  ],
  [
    'a bad line in a list of a survey file',
    ['launch', 'filed.yaml', ...NOWHERE],
    EXIT.USAGE,
    /bad\.txt:4, "1\.2\.3\.400"/,
  ],
  [
    'a broker that is not there',
    ['status', ...NOWHERE],
    EXIT.NO_BROKER,
    /--nats, "nats:\/\/127\.0\.0\.1:1": no NATS server answers/,
  ],
  [
    'an interface that is not there',
    ['scan', ...LOOP, '-p', '80', '-i', 'nope0'],
    EXIT.NO_ROUTE,
    /"nope0": there is no such interface/,
  ],
];

describe('transect refuses', () => {
  test.each(CASES)('%s', async (_what, args, code, line) => {
    const { code: ended, stderr, stdout } = await start('transect', args, folder.path).outcome;
    expect(stderr).toMatch(line);
    expect(ended).toBe(code);
    expect(stdout).toBe('');
  });

  test('to send packets without CAP_NET_RAW, but makes connections if --probe tcp-connect is given', async () => {
    const dropped = ['--bounding-set=-net_raw', '--inh-caps=-net_raw'];
    const { spawnSync } = await import('node:child_process');
    const script = join(new URL('../..', import.meta.url).pathname, 'transect');
    const scan = (...args: string[]) =>
      spawnSync('setpriv', [...dropped, script, 'scan', ...LOOP, '-p', '80', ...args], {
        cwd: folder.path,
      });
    const refused = scan();
    expect(refused.stderr.toString()).toMatch(/raw sockets are not permitted.*--probe tcp-connect/);
    expect(refused.status).toBe(EXIT.NO_CAPABILITY);
    const flags = ['-c', '1s', '--rows', 'all', '-q', '--no-header-row', '-f', 'classification'];
    const connected = scan('--probe', 'tcp-connect', ...flags);
    expect([connected.status, connected.stderr.toString()]).toEqual([0, '']);
    expect(connected.stdout.toString()).toMatch(/^(refused\n)+$/);
  });

  test('nothing under cron’s PATH, which lacks /usr/sbin and /sbin', async () => {
    const { spawnSync } = await import('node:child_process');
    const script = new URL('../../dist/coordinator/cli/main.js', import.meta.url).pathname;
    const env = { PATH: '/usr/bin:/bin' };
    const args = [
      script,
      'scan',
      '127.0.0.0/29',
      '--allow-special',
      '127.0.0.0/8',
      '-p',
      '80',
      '-c',
      '1s',
    ];
    const run = spawnSync(process.execPath, args, { cwd: folder.path, env });
    expect(run.status).toBe(EXIT.DONE);
  });
});

describe('transect-agent refuses', () => {
  test.each([
    ['an unknown flag', ['--fast'], EXIT.USAGE, /unknown option '--fast'/],
    ['an invalid vantage label', ['--vantage', 'a b'], EXIT.USAGE, /--vantage, "a b"/],
    ['an invalid source address', ['-S', '1.2.3'], EXIT.USAGE, /--source-ip, "1\.2\.3"/],
    ['an invalid gateway address', ['-G', 'aa:bb'], EXIT.USAGE, /--gateway-mac, "aa:bb"/],
    ['a missing blocklist', ['-b', 'none.txt'], EXIT.USAGE, /--blocklist-file, none\.txt/],
    ['a broker that is not there', NOWHERE, EXIT.NO_BROKER, /no NATS server answers/],
  ] as const)('%s', async (_what, args, code, line) => {
    const { code: ended, stderr } = await start('transect-agent', args, folder.path).outcome;
    expect(stderr).toMatch(line);
    expect(ended).toBe(code);
  });
});
