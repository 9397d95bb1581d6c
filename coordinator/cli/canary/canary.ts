/** `transect canary`: addresses of our own that show whether agents make answers up. */
import type { Command } from 'commander';
import { command } from '../../../shared/command/program.js';
import { checkCommand } from './check.js';
import { serveCommand } from './serve.js';

export function canaryCommand(): Command {
  return command('canary', 'addresses of our own that show whether agents make answers up')
    .addCommand(serveCommand())
    .addCommand(checkCommand());
}
