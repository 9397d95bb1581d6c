/** `transect auth accept`: lets a key log in. */
import type { Command } from 'commander';
import { isoTime, systemClock } from '../../../shared/base/clock.js';
import { Fault } from '../../../shared/base/faults.js';
import { controlBus } from '../../../shared/bus/nats/nats-bus.js';
import { isPublicKey } from '../../../shared/bus/nats/nkeys.js';
import { option } from '../../../shared/command/program.js';
import { accessOf, readLogin } from '../../../shared/login/login-file.js';
import type { AuthFolder } from '../../auth/auth-folder.js';
import { withEntry } from '../../auth/roster.js';
import { printNote } from '../output/print.js';
import { type DirFlag, folderOf, namedCommand, noteBroker, OPERATOR } from './options.js';

export function acceptCommand(): Command {
  const about = 'accept the key of somebody who was invited, or who asks for another key';
  const key = 'the public key; by default, the one that the coordinator has received';
  return namedCommand('accept', about)
    .addOption(option('--key <key>', key, parseKey))
    .action(accept);
}

async function accept(name: string, flags: DirFlag & { key?: string }): Promise<void> {
  const folder = folderOf(flags);
  const roster = await folder.read();
  const known =
    roster.invitations.find((each) => each.name === name) ??
    roster.entries.find((each) => each.name === name);
  if (known === undefined) {
    const reason = 'nobody with this name was invited; see: transect auth list';
    throw new Fault('BAD_OPTION', reason, { value: name });
  }
  const key = flags.key ?? (await enrolledKey(folder, name));
  const { kind, roles } = known;
  const entry = { name, kind, key, roles, since: isoTime(systemClock.wall()) };
  const runs = await folder.write(withEntry(roster, entry));
  printNote(`accepted ${name} with the key ${key}`);
  noteBroker(folder, runs);
}

/** The key that somebody has sent to the coordinator. */
async function enrolledKey(folder: AuthFolder, name: string): Promise<string> {
  const login = readLogin(folder.loginFile(OPERATOR), 'person', '--dir');
  const bus = await controlBus(accessOf(login, '--dir'));
  try {
    const { enrolments } = await bus.control.ask('enrolments', {});
    const found = enrolments.findLast((each) => each.name === name);
    if (found !== undefined) return found.key;
    const reason = 'the coordinator has received no key under this name; give it with --key';
    throw new Fault('BAD_OPTION', reason, { value: name });
  } finally {
    await bus.close();
  }
}

function parseKey(text: string): string {
  if (isPublicKey(text)) return text;
  throw new Fault('BAD_OPTION', 'a public key begins with U and has 56 characters', {
    value: text,
  });
}
