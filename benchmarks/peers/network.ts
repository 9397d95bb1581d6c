/**
 * The network of the comparison: two namespaces, a scanner and a target, joined by a link. The scanner also
 * has a bridge that drops every frame. The network has no uplink and is removed when the process ends.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export const SINK = {
  device: 'sink0',
  address: '100.127.0.1',
  source: '02:00:00:00:00:01',
  gateway: '02:00:00:00:00:02',
};
export const SCANNER = { namespace: `tp${process.pid}s`, address: '100.64.0.1' };
export const TARGET = { namespace: `tp${process.pid}t`, address: '100.64.0.2' };
export const TARGETS = '198.18.0.0/16';
const QUEUES = '4';
const TICKS_PER_SECOND = 100;

export function makeNetwork(): void {
  for (const { namespace } of [SCANNER, TARGET]) {
    ip('netns', 'add', namespace);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  const here = ['-n', SCANNER.namespace];
  ip(...here, 'link', 'add', 'sink0', 'numtxqueues', QUEUES, 'type', 'bridge');
  ip(...here, 'link', 'set', 'sink0', 'up');
  // zmap requires an address on the interface.
  ip(...here, 'address', 'add', `${SINK.address}/24`, 'dev', 'sink0');
  ip(...here, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'eth0', 'netns', TARGET.namespace);
  for (const { namespace, address } of [SCANNER, TARGET]) {
    ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  }
  ip(...here, 'route', 'add', TARGETS, 'via', TARGET.address);
  ip('-n', TARGET.namespace, 'route', 'add', 'local', TARGETS, 'dev', 'lo');
  for (const [name, value] of [
    ['net.core.somaxconn', 65535],
    ['net.ipv4.tcp_max_syn_backlog', 262144],
  ]) {
    within(TARGET.namespace, 'sysctl', '-qw', `${name}=${value}`);
  }
}

export function removeNetwork(): void {
  for (const { namespace } of [SCANNER, TARGET]) {
    try {
      ip('netns', 'del', namespace);
    } catch {
      // The namespace was never created.
    }
  }
}

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** Runs a program in a namespace until it ends. */
function within(namespace: string, program: string, ...args: string[]): string {
  return execFileSync('ip', ['netns', 'exec', namespace, program, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

/** Process groups of programs that were started and not yet stopped; some have children that outlive them. */
const running = new Set<number>();
process.on('exit', () => {
  for (const pid of running) endGroup(pid);
});

/** Starts a program in a namespace, in a process group of its own; it ends with this process. */
export function startWithin(namespace: string, program: string, ...args: string[]): ChildProcess {
  const tied = ['setpriv', '--pdeathsig', 'KILL', program, ...args];
  const child = spawn('ip', ['netns', 'exec', namespace, ...tied], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const pid = child.pid ?? 0;
  running.add(pid);
  child.once('exit', () => endGroup(pid));
  return child;
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((resolve) => child.once('exit', resolve));
}

function endGroup(pid: number): void {
  running.delete(pid);
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The whole group has ended.
  }
}

/** Kills a program and its process group, and waits until the program has ended. */
export async function stop(child: ChildProcess): Promise<void> {
  endGroup(child.pid ?? 0);
  await ended(child);
}

export const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

/** Frames sent by one of the scanner's interfaces. */
export function framesSent(device: string): number {
  const text = ip('-n', SCANNER.namespace, '-s', '-json', 'link', 'show', 'dev', device);
  return JSON.parse(text)[0].stats64.tx.packets;
}

interface ProcessorTime {
  readonly user: number;
  readonly system: number;
}

/** CPU seconds used by a process, its threads and its children. */
export function processorTime(pid: number): ProcessorTime {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const each = [pid, ...children.split(' ').filter(Boolean).map(Number)].map(timeOf);
  const sum = (read: (time: ProcessorTime) => number) =>
    each.reduce((total, time) => total + read(time), 0);
  return { user: sum(({ user }) => user), system: sum(({ system }) => system) };
}

/** CPU time of one process (proc(5), `stat`). */
function timeOf(pid: number): ProcessorTime {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const seconds = (field: number) => Number(fields[field - 3]) / TICKS_PER_SECOND;
  return { user: seconds(14), system: seconds(15) };
}
