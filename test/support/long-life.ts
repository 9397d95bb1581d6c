/** A coordinator and one agent as processes, and surveys launched on them one after another. */

import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readAndResolve } from '../../coordinator/cli/plan.js';
import {
  type PrivateBroker,
  startPrivateBroker,
} from '../../coordinator/cli/scan/private-broker.js';
import { submit } from '../../coordinator/cli/survey/submit.js';
import type { Millis, Pps } from '../../shared/base/brand.js';
import type { ControlBus } from '../../shared/bus/interfaces.js';
import { controlBus } from '../../shared/bus/nats/nats-bus.js';
import { environmentFor } from '../../shared/command/broker-options.js';
import { parseBlock } from '../../shared/survey/lists/rule-list.js';
import type { SurveyStatus } from '../../shared/survey/status.js';
import { isOver } from '../../shared/survey/survey.js';

const SAYS_MILLIS = 20_000;
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

export interface Program {
  readonly child: ChildProcess;
  /** The URL of its metrics. */
  readonly metrics: string;
}

export class LongLife implements AsyncDisposable {
  readonly programs: Readonly<Record<'coordinator' | 'agent', Program>>;
  readonly #folder: string;
  readonly #broker: PrivateBroker;
  readonly #bus: ControlBus;

  private constructor(deps: {
    programs: LongLife['programs'];
    folder: string;
    broker: PrivateBroker;
    bus: ControlBus;
  }) {
    this.programs = deps.programs;
    this.#folder = deps.folder;
    this.#broker = deps.broker;
    this.#bus = deps.bus;
  }

  /**
   * @param root the folder of a checkout that has been built
   * @param port the first of two ports that serve metrics
   */
  static async start(root: string, port: number): Promise<LongLife> {
    const folder = `/tmp/transect-long-life-${process.pid}`;
    const broker = await startPrivateBroker();
    const bus = await controlBus(broker.access);
    const start = (script: string, http: number, ...args: string[]) =>
      startProgram(join(root, 'dist', script), http, args, broker);
    const programs = {
      coordinator: await start('coordinator/cli/main.js', port, 'coordinator', '--data', folder),
      agent: await start('agent/main.js', port + 1, '--vantage', 'long'),
    };
    return new LongLife({ programs, folder, broker, bus });
  }

  /** Variables by which further processes reach its broker. */
  get environment(): NodeJS.ProcessEnv {
    return environmentFor(this.#broker.url);
  }

  /** Surveys one port of some addresses, and waits until the survey is over. */
  async survey(space: string, rate: number): Promise<SurveyStatus> {
    const resolved = await readAndResolve([space], {
      ports: [{ probe: undefined, items: ['8080'] }],
      allowSpecial: [parseBlock('127.0.0.0/8', ''), parseBlock('198.18.0.0/15', '')],
      rate: rate as Pps,
      cooldown: 300 as Millis,
      rows: 'all',
    });
    const { control } = this.#bus;
    const survey = await submit(control, resolved);
    for (;;) {
      await pause(50);
      const { statuses } = await control.ask('status', { survey });
      const [status] = statuses;
      if (status !== undefined && isOver(status.state)) return status;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of Object.values(this.programs)) child.kill('SIGKILL');
    await this.#bus.close();
    await this.#broker.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function startProgram(
  script: string,
  http: number,
  args: readonly string[],
  broker: PrivateBroker,
): Promise<Program> {
  const tied = ['--pdeathsig', 'KILL', process.execPath, script];
  const child = spawn('setpriv', [...tied, ...args, '--http', `127.0.0.1:${http}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: environmentFor(broker.url),
  });
  let said = '';
  child.stderr?.on('data', (text: Buffer) => {
    said = (said + text).slice(-10_000);
  });
  const deadline = performance.now() + SAYS_MILLIS;
  while (!/agent ready|leading/.test(said)) {
    if (performance.now() > deadline || child.exitCode !== null) throw new Error(said);
    await pause(10);
  }
  child.once('exit', (code, signal) => {
    if (signal !== 'SIGKILL') throw new Error(`${script} ended: ${code ?? signal}: ${said}`);
  });
  return { child, metrics: `http://127.0.0.1:${http}/metrics` };
}
