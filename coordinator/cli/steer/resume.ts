/** `transect resume`: continues a paused survey. */
import type { Command } from 'commander';
import { command } from '../../../shared/command/program.js';
import { printNote } from '../output/print.js';
import { ABOUT_SURVEY, addBrokerOptions, type BrokerFlags, withBus } from '../with-bus.js';

export function resumeCommand(): Command {
  const made = command('resume', 'continue a paused survey');
  return addBrokerOptions(made.argument('<survey>', ABOUT_SURVEY)).action(resume);
}

async function resume(survey: string, flags: BrokerFlags): Promise<void> {
  const { survey: id } = await withBus(flags, (bus) => bus.control.ask('resume', { survey }));
  printNote(`survey ${id} continues`);
}
