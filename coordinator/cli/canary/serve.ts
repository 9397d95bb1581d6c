/**
 * `transect canary serve`: answers for canaries, by the agent's program, which can send and capture packets. That
 * program runs as root, so it dies with its parent in any case (`setpriv --pdeathsig`).
 */
import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import { EXIT } from '../../../shared/base/exit-codes.js';
import { programFile } from '../../../shared/base/program-files.js';
import { canarySecretOption } from '../../../shared/command/canary-secret.js';
import { command, option } from '../../../shared/command/program.js';
import { findProgram } from '../../../shared/host/programs.js';

const SCRIPT = programFile('agent/main.js');

export function serveCommand(): Command {
  return command('serve', 'answer for canary addresses; prints a JSON line for each probe (root)')
    .addOption(
      option('--prefix <cidr…>', 'prefixes of canaries, which are routed to this host')
        .argParser((text: string, before: readonly string[] = []) => [...before, text])
        .makeOptionMandatory(),
    )
    .addOption(canarySecretOption())
    .addOption(
      option('-i, --interface <name>', 'the interface that probes reach').makeOptionMandatory(),
    )
    .action(serve);
}

interface ServeFlags {
  readonly prefix: readonly string[];
  readonly secret: string;
  readonly interface: string;
}

async function serve(flags: ServeFlags): Promise<void> {
  const prefixes = flags.prefix.flatMap((prefix) => ['--prefix', prefix]);
  const rest = ['--secret', flags.secret, '--device', flags.interface];
  const setpriv = findProgram('setpriv', 'CHILD_ENDED', 'it is part of util-linux');
  const node = [process.execPath, SCRIPT, 'canary', ...prefixes, ...rest];
  const child = spawn(setpriv, ['--pdeathsig', 'KILL', ...node], { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, pass);
  process.exitCode = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(EXIT.FAILED));
    child.once('exit', (code) => resolve(code ?? EXIT.STOPPED));
  });
}
