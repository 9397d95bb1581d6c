/** Options and parsers that the commands of `transect auth` share. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isoTime, systemClock } from '../../../shared/base/clock.js';
import { Fault } from '../../../shared/base/faults.js';
import { ANYONE } from '../../../shared/bus/control-api.js';
import { newNkey } from '../../../shared/bus/nats/nkeys.js';
import { command, option } from '../../../shared/command/program.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { LOGIN_NAME, type LoginKind } from '../../../shared/login/login-file.js';
import { AuthFolder } from '../../auth/auth-folder.js';
import { ROLE_NAMES, type Role, type RosterEntry, withEntry } from '../../auth/roster.js';
import { printNote } from '../output/print.js';

const DEFAULT_DIR = 'transect-auth';
/** The login of the person who made the folder. */
export const OPERATOR = 'operator';
/** How long an invitation is valid, and a host waits for an operator. */
export const DEFAULT_WAIT = '1h';

export interface DirFlag {
  readonly dir: string;
}

export interface MemberFlags extends DirFlag {
  readonly roles?: readonly Role[];
  readonly coordinator?: boolean;
}

/** A command about one login. */
export function namedCommand(name: string, about: string): Command {
  return withDir(command(name, about)).argument(
    '<name>',
    'of the agent, person or coordinator',
    parseName,
  );
}

export function withDir(made: Command): Command {
  return made.addOption(option('--dir <dir>', 'folder of the broker', undefined, DEFAULT_DIR));
}

/** Options that decide the kind of a login: an agent, if none is given. */
export function withKind(made: Command): Command {
  const roles = `a person with these roles: ${ROLE_NAMES.join(', ')}`;
  return made
    .addOption(option('--roles <roles>', roles, parseRoles))
    .addOption(option('--coordinator', 'a coordinator'));
}

export function kindOf({ roles, coordinator }: MemberFlags): LoginKind {
  if (coordinator) return 'coordinator';
  return roles === undefined ? 'agent' : 'person';
}

export function folderOf({ dir }: DirFlag): AuthFolder {
  return new AuthFolder(resolve(dir), { disk: systemDisk, clock: systemClock });
}

export function noteBroker(folder: AuthFolder, runs: boolean): void {
  if (!runs) printNote(`the broker does not run; start it with: nats-server -c ${folder.config}`);
}

/** Adds a login whose key is made here. @returns whether a broker runs */
export async function addMember(
  folder: AuthFolder,
  name: string,
  kind: LoginKind,
  roles: readonly Role[],
  file: string,
): Promise<boolean> {
  const { seed, key } = newNkey();
  const entry: RosterEntry = { name, kind, key, roles, since: isoTime(systemClock.wall()) };
  await folder.writeLogin(file, { ...(await folder.loginOf(name, kind)), seed });
  return await folder.write(withEntry(await folder.read(), entry));
}

function parseName(text: string): string {
  if (text === ANYONE) {
    const taken = 'this name stands for people without a login';
    throw new Fault('BAD_OPTION', taken, { value: text });
  }
  if (LOGIN_NAME.test(text)) return text;
  const reason =
    'a name has at most 48 letters, digits, _ and -, and begins with a letter or digit';
  throw new Fault('BAD_OPTION', reason, { value: text });
}

function parseRoles(text: string): readonly Role[] {
  const roles = text.split(',').map((role) => role.trim());
  const unknown = roles.find((role) => !(ROLE_NAMES as readonly string[]).includes(role));
  if (unknown === undefined) return roles as readonly Role[];
  throw new Fault('BAD_OPTION', `the roles are ${ROLE_NAMES.join(', ')}`, { value: unknown });
}
