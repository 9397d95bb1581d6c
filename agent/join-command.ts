/** `transect-agent join` and `transect-agent rekey`: this host's login to the broker. */
import { systemClock } from '../shared/base/clock.js';
import { command, option } from '../shared/command/program.js';
import { systemDisk } from '../shared/host/disk.js';
import { join } from '../shared/login/join.js';
import { invitationOf } from '../shared/login/join-token.js';
import { readLogin } from '../shared/login/login-file.js';
import { parseDuration } from '../shared/survey/quantities.js';

const LOGIN_FILE = '/etc/transect/agent.login';
const WAIT = '1h';

const deps = {
  clock: systemClock,
  disk: systemDisk,
  say: (line: string) => void process.stderr.write(`${line}\n`),
};

export function joinCommand() {
  return command('join', 'make this host’s login from a join token, and wait until it is accepted')
    .argument('<token>', 'as printed by transect auth invite')
    .addOption(option('-o, --output-file <file>', 'the login file to write', undefined, LOGIN_FILE))
    .addOption(waitOption())
    .action(async (token: string, flags: { outputFile: string; wait: number }) => {
      await join(invitationOf(token), flags.outputFile, flags.wait, deps);
      process.stderr.write(`accepted; start with: transect-agent --login ${flags.outputFile}\n`);
    });
}

export function rekeyCommand() {
  return command('rekey', 'replace the key of this host’s login, and wait until it is accepted')
    .addOption(option('--file <file>', 'the login file', undefined, LOGIN_FILE))
    .addOption(waitOption())
    .action(async ({ file, wait }: { file: string; wait: number }) => {
      await join(readLogin(file, 'agent', '--file'), file, wait, deps);
      process.stderr.write('accepted; restart the agent\n');
    });
}

function waitOption() {
  const made = option('--wait <duration>', 'how long to wait for an operator', parseDuration);
  return made.default(parseDuration(WAIT), WAIT);
}
