/**
 * Agents as child processes of `scan`. They are started before the broker, and get its address and login through their
 * stdin, which nobody else can read. They die with their parent in any case (`setpriv --pdeathsig`), and do
 * not receive Ctrl-C: `scan` alone decides when to stop.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { systemClock } from '../../../shared/base/clock.js';
import { EXIT } from '../../../shared/base/exit-codes.js';
import { Fault } from '../../../shared/base/faults.js';
import { inert } from '../../../shared/base/printable.js';
import { programFile } from '../../../shared/base/program-files.js';
import { environmentFor } from '../../../shared/command/broker-options.js';
import { findProgram } from '../../../shared/host/programs.js';

const SCRIPT = programFile('agent/main.js');
const LEAVE_MILLIS = 3000;
/** pino's level of warnings. */
const WARN = 40;

export interface ChildAgents {
  /** Gives the agents the URL of the broker, with the login. */
  connect(url: string): void;
  /** Rejects once the last agent has ended although it was still needed. */
  readonly failed: Promise<never>;
  /** Ends the agents: by SIGTERM, or immediately by SIGKILL. */
  stop(immediately: boolean): Promise<void>;
}

/**
 * @param flags passed on to each agent
 * @param say called once with each warning of the agents
 */
export function startAgents(
  count: number,
  flags: readonly string[],
  say: (text: string) => void,
): ChildAgents {
  const setpriv = findProgram('setpriv', 'CHILD_ENDED', 'it is part of util-linux');
  let isWanted = true;
  let alive = count;
  let report: (fault: Fault) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    report = reject;
  });
  failed.catch(() => {});
  /** Agents on one host give the same warnings. */
  const warned = new Set<string>();
  const children = Array.from({ length: count }, (_, i) => {
    const child = startAgent(setpriv, ['--unsigned', '--vantage', `local-${i + 1}`, ...flags]);
    let lastWords = '';
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on('line', (line) => {
        const { warning, words } = understand(line);
        if (words !== '') lastWords = words;
        if (warning !== '' && !warned.has(warning)) say(warning);
        warned.add(warning);
      });
    }
    // 'close', unlike 'exit', comes after the last output of the child has been read.
    child.once('close', (code) => {
      alive--;
      if (!isWanted) return;
      const reason = lastWords.replace(/^transect-agent: /, '') || 'the agent ended by itself';
      if (alive === 0) report(faultOf(code, reason));
      else
        process.stderr.write(
          `transect: agent local-${i + 1} ended (${code ?? 'killed'}): ${reason}\n`,
        );
    });
    return child;
  });
  return {
    failed,
    connect(url) {
      for (const { stdin } of children) {
        // An agent that has ended already is reported by its exit code.
        stdin?.on('error', () => {});
        stdin?.end(url);
      }
    },
    async stop(immediately) {
      isWanted = false;
      for (const child of children) child.kill(immediately ? 'SIGKILL' : 'SIGTERM');
      const patience = systemClock.monotonic() + LEAVE_MILLIS;
      while (alive > 0 && systemClock.monotonic() < patience) await systemClock.sleep(10);
      for (const child of children) if (isRunning(child)) child.kill('SIGKILL');
    },
  };
}

function startAgent(setpriv: string, args: readonly string[]): ChildProcess {
  const node = [process.execPath, SCRIPT, '--log-level', 'warn', ...args];
  return spawn(setpriv, ['--pdeathsig', 'KILL', ...node], {
    detached: true,
    env: environmentFor('-'),
    stdio: ['pipe', 'ignore', 'pipe'],
  });
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** Reads a line of an agent's stderr: a log line, or the message of a program that cannot start. */
function understand(line: string): { warning: string; words: string } {
  try {
    const record = JSON.parse(line) as { level?: unknown; msg?: unknown; error?: unknown };
    const warned = [record.msg, record.error].filter((part) => typeof part === 'string');
    const words = inert(warned.join(': '));
    return { words, warning: record.level === WARN ? words : '' };
  } catch {
    return { words: inert(line).trim(), warning: '' };
  }
}

/**
 * The fault to report once the last agent has ended: the one that its exit code stands for, or CHILD_ENDED if
 * the code stands for none.
 */
function faultOf(code: number | null, reason: string): Fault {
  if (code === EXIT.NO_CAPABILITY) return new Fault('NO_CAP_NET_RAW', reason);
  if (code === EXIT.NO_ROUTE) return new Fault('NO_ROUTE', reason);
  return new Fault('CHILD_ENDED', `the last agent ended: ${reason}`);
}
