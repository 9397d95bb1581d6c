/** `transect auth`: decides who may log in to the broker. */
import type { Command } from 'commander';
import { command } from '../../../shared/command/program.js';
import { acceptCommand } from './accept.js';
import { addCommand } from './add.js';
import { initCommand } from './init.js';
import { inviteCommand } from './invite.js';
import { joinCommand } from './join.js';
import { listCommand } from './list.js';
import { revokeCommand } from './revoke.js';

export function authCommand(): Command {
  const made = command('auth', 'decide who may log in to the broker');
  const commands = [
    initCommand(),
    inviteCommand(),
    acceptCommand(),
    addCommand(),
    revokeCommand(),
    listCommand(),
    joinCommand(),
  ];
  for (const each of commands) made.addCommand(each);
  return made;
}
