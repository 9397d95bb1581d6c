/**
 * Coordinator, broker and agents as processes; each agent sends through an interface of its own that drops
 * all frames. To be run in a network namespace of its own.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type PrivateBroker,
  startPrivateBroker,
} from '../../coordinator/cli/scan/private-broker.js';
import type { ControlBus, CoordinatorBus } from '../../shared/bus/interfaces.js';
import { controlBus, coordinatorBus } from '../../shared/bus/nats/nats-bus.js';
import { environmentFor } from '../../shared/command/broker-options.js';
import { isOver } from '../../shared/survey/survey.js';

const TARGETS = '198.18.0.0/15';
const QUEUES = '4';
const SAYS_MILLIS = 15_000;

export const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

/** Creates interfaces `sink0`, `sink1`…, which drop all frames sent to their gateways. */
export function makeSinks(count: number): void {
  ip('link set lo up');
  for (let i = 0; i < count; i++) {
    // A bridge counts as up only once it has a port; no frame is flooded to this port.
    ip(`link add sink${i} numtxqueues ${QUEUES} type bridge`);
    ip(`link add port${i} type veth peer name end${i}`);
    ip(`link set port${i} master sink${i} up`);
    ip(`link set port${i} type bridge_slave flood off mcast_flood off bcast_flood off`);
    ip(`link set end${i} up`);
    ip(`link set sink${i} up`);
    ip(`address add 100.127.${i}.1/24 dev sink${i}`);
    ip(`neighbour add 100.127.${i}.2 lladdr 02:00:00:00:00:02 dev sink${i}`);
    ip(`route add ${TARGETS} via 100.127.${i}.2 dev sink${i} metric ${i + 1}`);
  }
}

/** Frames sent by all sinks. */
export function framesSent(): number {
  let frames = 0;
  for (const line of readFileSync('/proc/self/net/dev', 'utf8').split('\n')) {
    const [name = '', counts = ''] = line.trim().split(':');
    if (name.startsWith('sink')) frames += Number(counts.trim().split(/\s+/)[9]);
  }
  return frames;
}

/** @throws Error if `isTrue` has not become true in time */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + SAYS_MILLIS;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await pause(2);
  }
}

export class System implements AsyncDisposable {
  readonly bus: ControlBus;
  /** To look at the leases. */
  readonly stores: CoordinatorBus;
  readonly #root: string;
  readonly #broker: PrivateBroker;
  readonly #folder = `/tmp/transect-distributed-${process.pid}`;
  readonly #children: ChildProcess[] = [];

  private constructor(
    root: string,
    broker: PrivateBroker,
    bus: ControlBus,
    stores: CoordinatorBus,
  ) {
    this.#root = root;
    this.#broker = broker;
    this.bus = bus;
    this.stores = stores;
  }

  static async start(root: string, agents: number): Promise<System> {
    const broker = await startPrivateBroker();
    const { access } = broker;
    const stores = await coordinatorBus(access);
    const system = new System(root, broker, await controlBus(access), stores);
    await system.#start('coordinator/cli/main.js', 'coordinator', '--data', system.#folder);
    for (let i = 0; i < agents; i++) await system.startAgent(i);
    return system;
  }

  /** Starts the agent that sends through `sink<i>`; returns when it is ready. */
  async startAgent(i: number): Promise<ChildProcess> {
    return await this.#start('agent/main.js', '-i', `sink${i}`, '--vantage', `v${i}`);
  }

  /** @returns the survey, and the times at which the command was started and answered */
  async launch(...flags: readonly string[]) {
    const begun = performance.now();
    const common = ['--allow-special', TARGETS, '-c', '1s'];
    const child = this.#spawn('coordinator/cli/main.js', 'launch', TARGETS, ...common, ...flags);
    const [id] = await once(child.stdout ?? child, 'data');
    return { survey: String(id).trim(), begun, answered: performance.now() };
  }

  async cancel(survey: string): Promise<void> {
    await this.bus.control.ask('cancel', { survey, immediately: true });
    await until(async () => {
      const { statuses } = await this.bus.control.ask('status', { survey });
      return statuses.every(({ state }) => isOver(state));
    }, 'the survey ends');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.bus.close();
    await this.stores.close();
    await this.#broker.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #start(script: string, ...args: readonly string[]): Promise<ChildProcess> {
    const child = this.#spawn(script, ...args);
    let said = '';
    child.stderr?.on('data', (text: Buffer) => {
      said += text;
    });
    await until(() => /agent ready|leading/.test(said), `${script} starts: ${said}`);
    return child;
  }

  #spawn(script: string, ...args: readonly string[]): ChildProcess {
    const tied = ['--pdeathsig', 'KILL', process.execPath, join(this.#root, 'dist', script)];
    const child = spawn('setpriv', [...tied, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environmentFor(this.#broker.url),
    });
    this.#children.push(child);
    return child;
  }
}

function ip(command: string): void {
  execFileSync('ip', command.split(' '));
}
