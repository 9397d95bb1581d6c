/** `transect pause`, `resume`, `rate` and `cancel`: what a running survey is told; it obeys within the second. */
import type { Command } from 'commander';
import type { Pps } from '../../shared/base/brand.js';
import { command, option } from '../../shared/command/program.js';
import { formatCount, parseRate } from '../../shared/survey/quantities.js';
import { printNote } from './output/print.js';
import { addBrokerOptions, type BrokerFlags, withBus } from './with-bus.js';

export function surveyControlCommands(): readonly Command[] {
  const pause = command('pause', 'stop sending; leases and late replies are kept');
  const resume = command('resume', 'go on with a paused survey');
  const rate = command('rate', 'send faster or slower from now on');
  const cancel = command('cancel', 'stop a survey; what has been sent is settled and stored');
  for (const each of [pause, resume, rate, cancel]) addBrokerOptions(each.argument('<survey>'));
  rate.argument('<pps>', 'probes per second, all agents together: 500, 20k', parseRate);
  cancel.addOption(option('--now', 'do not wait for late replies'));
  return [
    pause.action(async (survey: string, flags: BrokerFlags) => {
      const answer = await withBus(flags, (bus) => bus.control.ask('pause', { survey }));
      printNote(`survey ${answer.survey} is paused; go on with: transect resume ${answer.survey}`);
    }),
    resume.action(async (survey: string, flags: BrokerFlags) => {
      const answer = await withBus(flags, (bus) => bus.control.ask('resume', { survey }));
      printNote(`survey ${answer.survey} goes on`);
    }),
    rate.action(async (survey: string, pps: Pps, flags: BrokerFlags) => {
      const answer = await withBus(flags, (bus) => bus.control.ask('rate', { survey, rate: pps }));
      printNote(`survey ${answer.survey} sends ${formatCount(pps)} probes/s at most from now on`);
    }),
    cancel.action(async (survey: string, flags: BrokerFlags & { now?: boolean }) => {
      const ask = { survey, immediately: flags.now === true };
      const answer = await withBus(flags, (bus) => bus.control.ask('cancel', ask));
      printNote(`survey ${answer.survey} is being stopped; see: transect status ${answer.survey}`);
    }),
  ];
}
