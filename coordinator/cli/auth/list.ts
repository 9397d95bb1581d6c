/** `transect auth list`: who may log in. */
import type { Command } from 'commander';
import { command } from '../../../shared/command/program.js';
import type { RosterEntry } from '../../auth/roster.js';
import { formatTable, printOut } from '../output/print.js';
import { type DirFlag, folderOf, withDir } from './options.js';

export function listCommand(): Command {
  return withDir(command('list', 'list who may log in')).action(listRoster);
}

async function listRoster(flags: DirFlag): Promise<void> {
  const { entries, invitations } = await folderOf(flags).read();
  const row = ({ name, kind, roles, key }: Omit<RosterEntry, 'since'>, when: string) => ({
    name,
    kind,
    roles: roles.join(','),
    when,
    key,
  });
  const rows = [
    ...entries.map((entry) => row(entry, `since ${entry.since}`)),
    ...invitations.map((entry) => row(entry, `invited until ${entry.until}`)),
  ];
  await printOut(formatTable(rows));
}
