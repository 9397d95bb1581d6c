/** `transect auth invite`: prints a join token. */
import type { Command } from 'commander';
import { isoTime, systemClock } from '../../../shared/base/clock.js';
import { Fault } from '../../../shared/base/faults.js';
import { newNkey } from '../../../shared/bus/nats/nkeys.js';
import { option } from '../../../shared/command/program.js';
import { tokenOf } from '../../../shared/login/join-token.js';
import { parseDuration } from '../../../shared/survey/quantities.js';
import { printNote, printOut } from '../output/print.js';
import {
  DEFAULT_WAIT,
  folderOf,
  kindOf,
  type MemberFlags,
  namedCommand,
  noteBroker,
  withKind,
} from './options.js';

export function inviteCommand(): Command {
  const about = 'print a join token, by which a new host or person can ask to be accepted';
  const valid = parseDuration(DEFAULT_WAIT);
  return withKind(namedCommand('invite', about))
    .addOption(
      option('--valid <duration>', 'how long the token is valid', parseDuration).default(
        valid,
        '1h',
      ),
    )
    .action(invite);
}

async function invite(name: string, flags: MemberFlags & { valid: number }): Promise<void> {
  const folder = folderOf(flags);
  const roster = await folder.read();
  if (roster.entries.some((entry) => entry.name === name)) {
    const reason = 'somebody has this name already; revoke it first, or choose another one';
    throw new Fault('BAD_OPTION', reason, { value: name });
  }
  const { seed, key } = newNkey();
  const kind = kindOf(flags);
  const until = isoTime(systemClock.wall() + flags.valid);
  const invitation = { name, kind, key, roles: flags.roles ?? [], until };
  const others = roster.invitations.filter((each) => each.name !== name);
  const runs = await folder.write({ ...roster, invitations: [...others, invitation] });
  const token = tokenOf({ ...(await folder.loginOf(name, kind)), seed });
  const program = kind === 'agent' ? 'transect-agent join' : `transect auth join -o ${name}.login`;
  await printOut(`${program} ${token}`);
  printNote(`valid until ${until}; then accept it with: transect auth accept ${name}`);
  noteBroker(folder, runs);
}
