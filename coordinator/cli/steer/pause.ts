/** `transect pause`: stops sending; leases and late replies are kept. */
import type { Command } from 'commander';
import { command } from '../../../shared/command/program.js';
import { printNote } from '../output/print.js';
import { ABOUT_SURVEY, addBrokerOptions, type BrokerFlags, withBus } from '../with-bus.js';

export function pauseCommand(): Command {
  const made = command('pause', 'stop sending; leases and late replies are kept');
  return addBrokerOptions(made.argument('<survey>', ABOUT_SURVEY)).action(pause);
}

async function pause(survey: string, flags: BrokerFlags): Promise<void> {
  const { survey: id } = await withBus(flags, (bus) => bus.control.ask('pause', { survey }));
  printNote(`survey ${id} is paused; continue with: transect resume ${id}`);
}
