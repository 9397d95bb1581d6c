/** `transect rate`: changes the rate of a running survey. */
import type { Command } from 'commander';
import type { Pps } from '../../../shared/base/brand.js';
import { command } from '../../../shared/command/program.js';
import { formatLimit, parseRateLimit } from '../../../shared/survey/quantities.js';
import { printNote } from '../output/print.js';
import { ABOUT_SURVEY, addBrokerOptions, type BrokerFlags, withBus } from '../with-bus.js';

export function rateCommand(): Command {
  const made = command('rate', 'change the rate of a survey');
  made.argument('<survey>', ABOUT_SURVEY);
  made.argument(
    '<pps>',
    'probes per second, all agents together: 500, 20k; 0: no limit',
    parseRateLimit,
  );
  return addBrokerOptions(made).action(setRate);
}

async function setRate(survey: string, rate: Pps, flags: BrokerFlags): Promise<void> {
  const { survey: id } = await withBus(flags, (bus) => bus.control.ask('rate', { survey, rate }));
  printNote(`survey ${id}: ${formatLimit(rate)} from now on`);
}
