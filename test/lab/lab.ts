/**
 * A network on one machine: hosts as network namespaces on one switch, without an uplink. It creates hosts,
 * gives them addresses, lets one answer for whole prefixes with its real kernel, unplugs links, runs
 * programs, and removes all of it at the end, whatever happens.
 *     await using lab = await Lab.open();
 *     const agent = await lab.host('agent1');
 *     const target = await lab.host('target');
 *     await target.answerFor('198.18.0.0/16');
 *     await agent.routeVia('198.18.0.0/16', target);
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The only destinations to which a host of the lab may have routes. */
const LAB_PREFIXES = [
  /^127\./,
  /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./,
  /^198\.1[89]\./,
  /^2001:db8:/,
  /^(::1|fe80:|ff00:)/,
];
const SWITCH_NETWORK = '100.64.0';
const NETWORK_LENGTH = 24;
const SWITCH_NETWORK_6 = '2001:db8:ffff::';
const NETWORK_LENGTH_6 = 64;
const INTERNET = fileURLToPath(new URL('../../dist/test/lab/internet/main.js', import.meta.url));
const STOP_MILLIS = 5000;

/** The reason why the lab is not available; undefined if it is. */
export function labIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'the lab needs root for network namespaces';
  if (!existsSync('/usr/sbin/ip') && !existsSync('/sbin/ip')) return 'the lab needs iproute2';
  return undefined;
}

let labs = 0;

export class Lab implements AsyncDisposable {
  readonly #prefix: string;
  readonly #switch: string;
  readonly #hosts: Host[] = [];

  private constructor() {
    this.#prefix = `tl${process.pid}x${labs++}`;
    this.#switch = `${this.#prefix}-switch`;
  }

  static async open(): Promise<Lab> {
    const lab = new Lab();
    await run('ip', ['netns', 'add', lab.#switch]);
    await run('ip', ['-n', lab.#switch, 'link', 'add', 'br0', 'type', 'bridge']);
    await run('ip', ['-n', lab.#switch, 'link', 'set', 'br0', 'up']);
    return lab;
  }

  /** Adds a host to the switch, with an address. */
  async host(name: string): Promise<Host> {
    const namespace = `${this.#prefix}-${name}`;
    const number = this.#hosts.length + 1;
    const addresses = { 4: `${SWITCH_NETWORK}.${number}`, 6: `${SWITCH_NETWORK_6}${number}` };
    const host = new Host(namespace, addresses);
    this.#hosts.push(host);
    const port = `port${number}`;
    await run('ip', ['netns', 'add', namespace]);
    await run('ip', [
      ...['-n', namespace, 'link', 'add', 'eth0', 'type', 'veth'],
      ...['peer', 'name', port, 'netns', this.#switch],
    ]);
    await run('ip', ['-n', this.#switch, 'link', 'set', port, 'master', 'br0', 'up']);
    await host.takeAddresses();
    await host.ip('link', 'set', 'lo', 'up');
    // Link-local addresses are usable at once, without duplicate address detection.
    await host.run('sysctl', '-qw', 'net.ipv6.conf.eth0.dad_transmits=0');
    await host.ip('link', 'set', 'eth0', 'up');
    await host.refuseUplinks();
    return host;
  }

  /** Connects a host to the switch by a second interface, eth1, with this address. */
  async secondLink(host: Host, address: string): Promise<void> {
    const port = `second${this.#hosts.indexOf(host) + 1}`;
    const peer = ['peer', 'name', port, 'netns', this.#switch];
    await host.ip('link', 'add', 'eth1', 'type', 'veth', ...peer);
    await run('ip', ['-n', this.#switch, 'link', 'set', port, 'master', 'br0', 'up']);
    await host.ip(
      'address',
      'add',
      address,
      'dev',
      'eth1',
      ...(address.includes(':') ? ['nodad'] : []),
    );
    await host.ip('link', 'set', 'eth1', 'up');
    // Each interface answers ARP requests for its own addresses only.
    await host.run('sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=1');
    await host.refuseUplinks();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.stopAll()));
    for (const { namespace } of this.#hosts)
      await run('ip', ['netns', 'del', namespace]).catch(() => {});
    await run('ip', ['netns', 'del', this.#switch]).catch(() => {});
  }
}

export class Host {
  readonly namespace: string;
  /** Its addresses by family. */
  readonly addresses: Readonly<Record<4 | 6, string>>;
  readonly #running = new Set<ChildProcess>();

  constructor(namespace: string, addresses: Readonly<Record<4 | 6, string>>) {
    this.namespace = namespace;
    this.addresses = addresses;
  }

  get address(): string {
    return this.addresses[4];
  }

  async takeAddresses(): Promise<void> {
    const { 4: ipv4, 6: ipv6 } = this.addresses;
    await this.ip('address', 'replace', `${ipv4}/${NETWORK_LENGTH}`, 'dev', 'eth0');
    // Without duplicate address detection, so that the address is usable at once.
    const prefix = `${ipv6}/${NETWORK_LENGTH_6}`;
    await this.ip('-6', 'address', 'replace', prefix, 'dev', 'eth0', 'nodad');
  }

  async ip(...args: string[]): Promise<string> {
    return (await run('ip', ['-n', this.namespace, ...args])).stdout;
  }

  /** Makes the host's own kernel answer for every address of the prefix. */
  async answerFor(prefix: string): Promise<void> {
    await this.ip('route', 'add', 'local', prefix, 'dev', 'lo');
    await this.refuseUplinks();
  }

  async routeVia(prefix: string, gateway: Host): Promise<void> {
    const family = prefix.includes(':') ? 6 : 4;
    await this.ip('route', 'replace', prefix, 'via', gateway.addresses[family]);
    await this.refuseUplinks();
  }

  /** Makes the host answer for every address, as `internet/truth.ts` defines for this seed. */
  async simulateInternet(seed: number, ...mode: string[]): Promise<Running> {
    // Otherwise the host's own kernel would report IPv6 addresses as unreachable.
    await this.ip('-6', 'route', 'replace', 'blackhole', '2001:db8::/32');
    const internet = this.start(process.execPath, INTERNET, 'eth0', `${seed}`, ...mode);
    await internet.says(/is up/);
    return internet;
  }

  async unplug(): Promise<void> {
    await this.ip('link', 'set', 'eth0', 'down');
  }

  /** Plugs the link in again; the caller restores routes that were lost with it. */
  async plug(): Promise<void> {
    await this.ip('link', 'set', 'eth0', 'up');
  }

  /** Runs a program until it ends. */
  async run(program: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
    const options = { maxBuffer: 256 * 1024 * 1024 };
    return await run('ip', ['netns', 'exec', this.namespace, program, ...args], options);
  }

  /** Starts a program, which is stopped with the lab or killed with this process if it still runs then. */
  start(program: string, ...args: string[]): Running {
    const tied = ['setpriv', '--pdeathsig', 'KILL', program, ...args];
    const child = spawn('ip', ['netns', 'exec', this.namespace, ...tied], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    return new Running(child);
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => new Running(child).stop()));
  }

  /** @throws Error if the host has an interface or a route that does not belong to the lab */
  async refuseUplinks(): Promise<void> {
    const links = JSON.parse(await this.ip('-json', 'link')) as { ifname: string }[];
    const strange = links.find(({ ifname }) => !/^(lo|eth[01])$/.test(ifname));
    const routes: { dst: string }[] = [];
    for (const family of ['-4', '-6']) {
      routes.push(
        ...JSON.parse((await this.ip('-json', family, 'route', 'show', 'table', 'all')) || '[]'),
      );
    }
    const leading = routes.find(({ dst }) => !LAB_PREFIXES.some((prefix) => prefix.test(dst)));
    if (strange !== undefined) throw new Error(`the lab would reach ${strange.ifname}`);
    if (leading !== undefined) throw new Error(`the lab would route to ${leading.dst}`);
  }
}

/** A program on a host. */
export class Running {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.on('data', (text: Buffer) => {
      this.stdout += text;
    });
    child.stderr?.on('data', (text: Buffer) => {
      this.stderr += text;
    });
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits until the program's output matches. */
  async says(pattern: RegExp, millis = 20_000): Promise<void> {
    const deadline = Date.now() + millis;
    while (!pattern.test(this.stdout + this.stderr)) {
      if (this.hasEnded || Date.now() > deadline) {
        throw new Error(`never said ${pattern}: ${this.stdout}${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async ended(): Promise<number | null> {
    if (!this.hasEnded) await new Promise((resolve) => this.child.once('exit', resolve));
    return this.child.exitCode;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return;
    this.kill('SIGTERM');
    const timer = setTimeout(() => this.kill('SIGKILL'), STOP_MILLIS);
    await this.ended();
    clearTimeout(timer);
  }
}
