/** `transect sign`: signs an authorization with an SSH key, by ssh-keygen, which also knows agents and tokens. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { NAMESPACE, parseAuthorization } from '../../../shared/authorization/authorization.js';
import { describeError, Fault } from '../../../shared/base/faults.js';
import { command } from '../../../shared/command/program.js';
import { findProgram } from '../../../shared/host/programs.js';

export function signCommand(): Command {
  return command('sign', 'sign an authorization with an SSH key; the signature is in FILE.sig')
    .argument('<file>', 'as written by transect authorize')
    .requiredOption(
      '--key <file>',
      'your private key, or the public one if an agent has the private key',
    )
    .action(sign);
}

async function sign(file: string, { key }: { key: string }): Promise<void> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Fault('UNREADABLE_FILE', `cannot read the file: ${describeError(cause)}`, { file });
  });
  try {
    parseAuthorization(text);
  } catch (error) {
    throw error instanceof Fault ? error.at({ file }) : error;
  }
  const install = 'install it with: apt-get install openssh-client';
  const program = findProgram('ssh-keygen', 'SYSTEM_CALL', install);
  const child = spawn(program, ['-Y', 'sign', '-n', NAMESPACE, '-f', key, file], {
    stdio: 'inherit',
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0)
    throw new Fault('SYSTEM_CALL', `ssh-keygen ended with ${code}`, { flag: '--key', value: key });
}
