/** `transect cancel`: stops a survey, and stores the results of the probes already sent. */
import type { Command } from 'commander';
import { command, option } from '../../../shared/command/program.js';
import { printNote } from '../output/print.js';
import { ABOUT_SURVEY, addBrokerOptions, type BrokerFlags, withBus } from '../with-bus.js';

export function cancelCommand(): Command {
  const made = command(
    'cancel',
    'stop a survey; the results of the probes already sent are stored',
  );
  made
    .argument('<survey>', ABOUT_SURVEY)
    .addOption(option('--now', 'do not wait for late replies'));
  return addBrokerOptions(made).action(cancel);
}

async function cancel(survey: string, flags: BrokerFlags & { now?: boolean }): Promise<void> {
  const request = { survey, immediately: flags.now === true };
  const { survey: id } = await withBus(flags, (bus) => bus.control.ask('cancel', request));
  printNote(`survey ${id} is being stopped; see: transect status ${id}`);
}
