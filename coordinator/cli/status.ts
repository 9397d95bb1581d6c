/** `transect status`: the progress of one survey, or of all. */
import type { Command } from 'commander';
import { isoTime } from '../../shared/base/clock.js';
import { command, option } from '../../shared/command/program.js';
import { formatCount, formatLimit } from '../../shared/survey/quantities.js';
import { type SurveyStatus, silentOf } from '../../shared/survey/status.js';
import {
  endOf,
  findingLines,
  formatTable,
  percent,
  plural,
  printNote,
  printOut,
  replyLines,
  unsentLines,
} from './output/print.js';
import { addBrokerOptions, type BrokerFlags, withBus } from './with-bus.js';

export function statusCommand(): Command {
  const made = command('status', 'show the progress of a survey, or of all surveys').argument(
    '[survey]',
  );
  return addBrokerOptions(made).addOption(option('--json', 'print JSON')).action(status);
}

async function status(survey: string | undefined, flags: BrokerFlags & { json?: boolean }) {
  const { statuses } = await withBus(flags, (bus) =>
    bus.control.ask('status', { survey: survey ?? '' }),
  );
  const [first] = statuses;
  if (flags.json) await printOut(JSON.stringify(survey === undefined ? statuses : first));
  else if (survey !== undefined && first !== undefined) await printOut(describe(first));
  else if (statuses.length > 0) await printOut(formatTable(statuses.map(brief)));
  else printNote('no surveys yet; submit one with: transect launch survey.yaml');
}

function brief(status: SurveyStatus): Record<string, string | number> {
  return {
    survey: status.survey,
    name: status.name,
    state: status.state,
    targets: formatCount(status.targets),
    covered: percent(status.targetsCovered, status.targets),
    'rate/s': formatCount(status.rate),
    rows: formatCount(status.rowsStored),
  };
}

function describe(status: SurveyStatus): string {
  const { targets, probesSent, targetsCovered } = status;
  const lines = {
    survey: `${status.survey} ${status.name}`,
    state: endOf(status),
    targets: formatCount(targets),
    sent: formatCount(probesSent),
    covered: `${formatCount(targetsCovered)} (${percent(targetsCovered, targets)})`,
    ...replyLines(status),
    silent: formatCount(silentOf(status)),
    ...unsentLines(status),
    ...findingLines(status),
    rows: formatCount(status.rowsStored),
    shards: `${formatCount(status.shardsStored)} of ${formatCount(status.shards)} stored`,
    rate: `${formatCount(status.rate)} probes/s (${formatLimit(status.budget)}), ${plural(status.agents, 'agent')}`,
    started: isoTime(status.startedAt),
    ...(status.endedAt > 0 ? { ended: isoTime(status.endedAt) } : {}),
    ...(status.notice === '' ? {} : { notice: status.notice }),
    ...(status.problem === '' ? {} : { STALLED: status.problem }),
    ...(status.framesDropped > 0
      ? { dropped: `${formatCount(status.framesDropped)} frames on capture` }
      : {}),
  };
  return Object.entries(lines)
    .map(([name, text]) => `${name.padEnd(13)} ${text}`)
    .join('\n');
}
