/**
 * A private nats-server for `scan`: loopback, a port chosen by the kernel, JetStream in a temporary folder,
 * and a random login, which is in a file that other users cannot read. The server dies with its parent in any case
 * (`setpriv --pdeathsig`), and its folder is removed at the end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../shared/base/clock.js';
import { describeError, Fault } from '../../../shared/base/faults.js';
import type { BrokerAccess } from '../../../shared/bus/broker-access.js';
import { urlWithLogin } from '../../../shared/command/broker-options.js';
import { findProgram } from '../../../shared/host/programs.js';
import { scratchFolder } from '../../../shared/host/scratch.js';

const START_MILLIS = 10_000;
const POLL_MILLIS = 20;
const SECRET_OCTETS = 24;
const USER = 'transect';
const LOOPBACK = '127.0.0.1';

export interface PrivateBroker {
  readonly access: BrokerAccess;
  /** With the login, for child processes. */
  readonly url: string;
  /** Resolves when the server has ended. */
  readonly ended: Promise<void>;
  /** Translates a client's failure for users, who do not know about this server. */
  failed(cause: unknown): Fault;
  /** Kills the server, because its files are removed. */
  stop(): Promise<void>;
}

/** @throws Fault NO_NATS_SERVER if it is not installed or does not start */
export async function startPrivateBroker(): Promise<PrivateBroker> {
  const isLoopbackUp = Object.values(networkInterfaces())
    .flat()
    .some((one) => one?.address === LOOPBACK);
  if (!isLoopbackUp) {
    const reason = `no interface has ${LOOPBACK}, which the parts of a scan need; run: ip link set lo up`;
    throw new Fault('NO_NATS_SERVER', reason);
  }
  const install = 'install it with: apt-get install nats-server';
  const server = findProgram('nats-server', 'NO_NATS_SERVER', install);
  const setpriv = findProgram('setpriv', 'NO_NATS_SERVER', 'it is part of util-linux');
  const folder = await scratchFolder('nats');
  const login = { user: USER, password: randomBytes(SECRET_OCTETS).toString('hex') };
  const config = join(folder, 'nats.conf');
  await writeFile(config, configOf(folder, login.password), { mode: 0o600 });
  // In a session of its own: Ctrl-C in the terminal must reach only us, and we stop the server at the end.
  const child = spawn(setpriv, ['--pdeathsig', 'KILL', server, '--config', config], {
    detached: true,
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      child.kill('SIGKILL');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const servers = [await serverOf(child, folder)];
    const access = { servers, login: { kind: 'password', ...login } } as const;
    const failed = (cause: unknown) => problemIn(folder, describeError(cause), cause);
    return { access, url: urlWithLogin(access, login), ended, failed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function configOf(folder: string, password: string): string {
  return [
    `listen: "${LOOPBACK}:-1"`,
    `ports_file_dir: ${JSON.stringify(folder)}`,
    `log_file: ${JSON.stringify(join(folder, 'log'))}`,
    `jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))} }`,
    `authorization { user: ${USER}, password: "${password}" }`,
    '',
  ].join('\n');
}

/** `host:port` of the server, once it listens. */
async function serverOf(child: ChildProcess, folder: string): Promise<string> {
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
    if (url !== undefined) return url.replace(/^nats:\/\//, '');
    await systemClock.sleep(POLL_MILLIS);
  }
  const log = await readFile(join(folder, 'log'), 'utf8').catch(() => '');
  const last = log.trim().split('\n').at(-1);
  const reason = last ? `nats-server does not start: ${last}` : 'nats-server ended by itself';
  throw problemIn(folder, reason);
}

function problemIn(folder: string, reason: string, cause?: unknown): Fault {
  const where = `its files were in ${folder}; set TMPDIR for another folder`;
  return new Fault('NO_NATS_SERVER', `the private broker: ${reason} (${where})`, {}, cause);
}

/** The file is written in one call, but may be seen empty before that. */
function readPorts(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { nats?: string[] }).nats?.[0];
  } catch {
    return undefined;
  }
}
