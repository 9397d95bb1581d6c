/** `transect auth join`: makes the login of a person. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../../shared/base/clock.js';
import { command, option } from '../../../shared/command/program.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { join } from '../../../shared/login/join.js';
import { invitationOf } from '../../../shared/login/join-token.js';
import { parseDuration } from '../../../shared/survey/quantities.js';
import { printNote, printOut } from '../output/print.js';
import { DEFAULT_WAIT } from './options.js';

export function joinCommand(): Command {
  const about = 'make a login from a join token, as a person; hosts use transect-agent join';
  const wait = parseDuration(DEFAULT_WAIT);
  return command('join', about)
    .argument('<token>', 'as printed by transect auth invite')
    .requiredOption('-o, --output-file <file>', 'the login file to write')
    .addOption(
      option('--wait <duration>', 'how long to wait for an operator', parseDuration).default(
        wait,
        DEFAULT_WAIT,
      ),
    )
    .action(joinAsPerson);
}

async function joinAsPerson(
  token: string,
  flags: { outputFile: string; wait: number },
): Promise<void> {
  const deps = { clock: systemClock, disk: systemDisk, say: printNote };
  await join(invitationOf(token), resolve(flags.outputFile), flags.wait, deps);
  await printOut(flags.outputFile);
}
