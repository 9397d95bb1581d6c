/** `transect lookup`: was this address probed, when, by whom, with what outcome, or why not? */
import type { Command } from 'commander';
import { isoTime } from '../../shared/base/clock.js';
import { command, option } from '../../shared/command/program.js';
import { formatCount } from '../../shared/survey/quantities.js';
import type { LookupResult } from '../../shared/survey/status.js';
import { printOut } from './output/print.js';
import { ABOUT_SURVEY, addBrokerOptions, type BrokerFlags, withBus } from './with-bus.js';

export function lookupCommand(): Command {
  const made = command('lookup', 'look up whether, when and by whom an address was probed');
  made.argument('<survey>', ABOUT_SURVEY).argument('<target>', 'ADDR, ADDR:PORT or [ADDR]:PORT');
  return addBrokerOptions(made).addOption(option('--json', 'print JSON')).action(lookup);
}

async function lookup(survey: string, target: string, flags: BrokerFlags & { json?: boolean }) {
  const { results } = await withBus(flags, (bus) => bus.control.ask('lookup', { survey, target }));
  await printOut(flags.json ? JSON.stringify(results) : results.map(describe).join('\n'));
}

function describe(result: LookupResult): string {
  const { planned, rule, position, shard, state, agent, vantage } = result;
  const what = targetOf(result);
  if (!planned) return `${what}: not in the survey: ${rule}`;
  const location = `position ${formatCount(position)}, shard ${shard}`;
  if (state === 'waiting') return `${what}: not probed yet; ${location}`;
  if (state === 'leased') return `${what}: about to be probed; ${location}`;
  const span = `between ${isoTime(result.from)} and ${isoTime(result.until)}`;
  if (rule !== '') {
    return `${what}: not probed: ${rule}; skipped ${span} by ${agent}; ${location}`;
  }
  const remark = result.remark === '' ? '' : ` (${result.remark})`;
  const outcome = state === 'stored' ? `${result.outcome}${remark}` : 'not stored yet';
  return `${what}: ${outcome}; probed ${span} by ${agent} at ${vantage}; ${location}`;
}

/** The address, with port and probe. */
function targetOf({ address, port, probe }: LookupResult): string {
  if (port === 0) return `${address} ${probe}`.trimEnd();
  return `${address} port ${port}${probe === '' || probe === 'tcp-syn' ? '' : ` (${probe})`}`;
}
