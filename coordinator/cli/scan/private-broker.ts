/**
 * A nats-server of one's own: loopback, a port the kernel picks, JetStream in a temporary folder.
 * It dies with its parent whatever happens (`setpriv --pdeathsig`), and its folder goes when it is
 * stopped in order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../shared/base/clock.js';
import { Fault } from '../../../shared/base/faults.js';

const START_MILLIS = 10_000;
const POLL_MILLIS = 20;

export interface PrivateBroker {
  readonly url: string;
  /** Resolves when the server ends, wanted or not. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** @throws Fault NO_NATS_SERVER where it is not installed or does not start */
export async function startPrivateBroker(): Promise<PrivateBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'transect-nats-'));
  const server = ['nats-server', '--jetstream', '--store_dir', folder, '--addr', '127.0.0.1'];
  const flags = ['--port', '-1', '--ports_file_dir', folder, '--log', join(folder, 'log')];
  // A session of its own: Ctrl-C in the terminal is for us, and we stop the server when done.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...server, ...flags], {
    detached: true,
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      child.kill('SIGTERM');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return { url: await urlOf(child, folder), ended, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function urlOf(child: ChildProcess, folder: string): Promise<string> {
  const failed = Promise.race([once(child, 'error'), once(child, 'exit')]);
  let hasFailed = false;
  failed.then(
    () => {
      hasFailed = true;
    },
    () => {
      hasFailed = true;
    },
  );
  const deadline = systemClock.monotonic() + START_MILLIS;
  while (!hasFailed && systemClock.monotonic() < deadline) {
    const name = (await readdir(folder)).find((file) => file.endsWith('.ports'));
    const text = name === undefined ? '' : await readFile(join(folder, name), 'utf8');
    const url = readPorts(text);
    if (url !== undefined) return url;
    await systemClock.sleep(POLL_MILLIS);
  }
  const log = await readFile(join(folder, 'log'), 'utf8').catch(() => '');
  const last = log.trim().split('\n').at(-1);
  const why = last ? `nats-server does not start: ${last}` : 'nats-server is not installed';
  throw new Fault('NO_NATS_SERVER', `${why}; install it with: apt-get install nats-server`);
}

/** The file is written in one go, but may be seen before it is. */
function readPorts(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { nats?: string[] }).nats?.[0];
  } catch {
    return undefined;
  }
}
