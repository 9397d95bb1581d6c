/** `transect auth add`: makes a login here, instead of inviting somebody. */
import type { Command } from 'commander';
import { option } from '../../../shared/command/program.js';
import { printOut } from '../output/print.js';
import {
  addMember,
  folderOf,
  kindOf,
  type MemberFlags,
  namedCommand,
  noteBroker,
  withKind,
} from './options.js';

export function addCommand(): Command {
  const file = 'the login file; by default, NAME.login in the folder';
  return withKind(
    namedCommand('add', 'make a login file here, for somebody who cannot use a token'),
  )
    .addOption(option('-o, --output-file <file>', file))
    .action(add);
}

async function add(name: string, flags: MemberFlags & { outputFile?: string }): Promise<void> {
  const folder = folderOf(flags);
  const file = flags.outputFile ?? folder.loginFile(name);
  const runs = await addMember(folder, name, kindOf(flags), flags.roles ?? [], file);
  await printOut(file);
  noteBroker(folder, runs);
}
