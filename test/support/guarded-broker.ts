/** A broker with the configuration that `transect auth` writes, and programs that log in to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { loginOptions } from '../../shared/bus/nats/login.js';
import { accessOf, type Login } from '../../shared/login/login-file.js';
import { scratch } from './scan.js';
import { shell } from './shell.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const STARTS_MILLIS = 15_000;
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

/** A port of the loopback interface that nobody uses now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

export class GuardedBroker implements AsyncDisposable {
  readonly path: string;
  readonly #scratch: Awaited<ReturnType<typeof scratch>>;
  readonly #children: ChildProcess[] = [];

  private constructor(folder: Awaited<ReturnType<typeof scratch>>) {
    this.#scratch = folder;
    this.path = folder.path;
  }

  /** @param server the nats-server to run */
  static async start(server = 'nats-server'): Promise<GuardedBroker> {
    const broker = new GuardedBroker(await scratch());
    await broker.run(`$T auth init --port ${await freePort()}`);
    broker.spawn(server, '-c', relative(process.cwd(), broker.file('nats.conf')));
    await broker.until(() => /Server is ready/.test(broker.log), 'the broker starts');
    return broker;
  }

  /** Path of a file in the folder of the broker. */
  file(name: string): string {
    return join(this.path, 'transect-auth', name);
  }

  /** The broker's log. */
  get log(): string {
    const file = this.file('nats.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Runs a command; $T is transect, $AGENT the agent. @throws Error if it fails */
  async run(line: string): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(line);
    if (code !== 0) throw new Error(`${line}: ${stderr}`);
    return stdout.trim();
  }

  attempt(line: string): ReturnType<typeof shell> {
    return shell(line, this.path);
  }

  /** The login of a name, as its file has it. */
  login(name: string): Login {
    return JSON.parse(readFileSync(this.file(`${name}.login`), 'utf8')) as Login;
  }

  /** A client of the broker under a login, as an attacker would write it. */
  async client(name: string) {
    const access = accessOf(this.login(name));
    const inboxPrefix = `_INBOX_${name}`;
    return await connect({ ...loginOptions(access), reconnect: false, inboxPrefix });
  }

  /** Starts a coordinator and waits until it leads. @returns its log so far */
  async startCoordinator(...flags: readonly string[]): Promise<string> {
    const login = this.file('coordinator.login');
    const started = this.spawn(
      `${ROOT}transect`,
      'coordinator',
      '--login',
      login,
      '--data',
      'data',
      ...flags,
    );
    await this.until(() => /leading/.test(started.said), `the coordinator leads: ${started.said}`);
    return started.said;
  }

  /** Invites an agent, lets it join, and starts it. */
  async startAgent(name: string, ...flags: readonly string[]): Promise<ChildProcess> {
    const invitation = await this.run(`$T auth invite ${name}`);
    const token = invitation.split(' ').at(-1) ?? '';
    const joining = this.spawn(
      `${ROOT}transect-agent`,
      'join',
      token,
      '-o',
      this.file(`${name}.login`),
    );
    await this.until(() => /waiting/.test(joining.said), 'the agent asks to join');
    await this.until(
      async () => (await this.attempt(`$T auth accept ${name}`)).code === 0,
      'the key is there',
    );
    await this.until(() => /accepted/.test(joining.said), 'the agent has joined');
    const agent = this.spawn(
      `${ROOT}transect-agent`,
      '--login',
      this.file(`${name}.login`),
      '-i',
      'lo',
      ...flags,
    );
    await this.until(() => /agent ready/.test(agent.said), `the agent starts: ${agent.said}`);
    return agent.child;
  }

  /** Starts a program that dies with us; `said` is what it has written on stderr. */
  spawn(program: string, ...args: readonly string[]) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
      cwd: this.path,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#children.push(child);
    const started = { child, said: '' };
    child.stderr.on('data', (text: Buffer) => {
      started.said += text;
    });
    return started;
  }

  async until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = performance.now() + STARTS_MILLIS;
    while (!(await isTrue())) {
      if (performance.now() > deadline) throw new Error(`timed out waiting until ${what}`);
      await pause(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await pause(100);
    await this.#scratch[Symbol.asyncDispose]();
  }
}
