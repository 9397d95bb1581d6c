/** `transect auth revoke`: disconnects a login at once, and for good. */
import type { Command } from 'commander';
import { without } from '../../auth/roster.js';
import { printNote } from '../output/print.js';
import { type DirFlag, folderOf, namedCommand, noteBroker } from './options.js';

export function revokeCommand(): Command {
  return namedCommand('revoke', 'disconnect somebody at once, and for good').action(revoke);
}

async function revoke(name: string, flags: DirFlag): Promise<void> {
  const folder = folderOf(flags);
  const runs = await folder.write(without(await folder.read(), name));
  printNote(`revoked ${name}`);
  noteBroker(folder, runs);
}
