/** `transect status` and `agents`: questions that a coordinator answers at once. */
import type { Command } from 'commander';
import { isoTime } from '../../shared/base/clock.js';
import { command, option } from '../../shared/command/program.js';
import { formatCount, formatDuration } from '../../shared/survey/quantities.js';
import { type SurveyStatus, silentOf } from '../../shared/survey/status.js';
import { formatTable, percent, plural, printNote, printOut, unsentLines } from './output/print.js';
import { addBrokerOptions, type BrokerFlags, withBus } from './with-bus.js';

interface JsonFlags extends BrokerFlags {
  readonly json?: boolean;
}

const JSON_OPTION = () => option('--json', 'for machines');

export function statusCommand(): Command {
  const made = command('status', 'what has become of a survey, or of all').argument('[survey]');
  return addBrokerOptions(made).addOption(JSON_OPTION()).action(status);
}

export function agentsCommand(): Command {
  const made = command('agents', 'the agents, and what they do');
  return addBrokerOptions(made).addOption(JSON_OPTION()).action(agents);
}

async function status(survey: string | undefined, flags: JsonFlags): Promise<void> {
  const { statuses } = await withBus(flags, (bus) =>
    bus.control.ask('status', { survey: survey ?? '' }),
  );
  if (flags.json) {
    const machine = statuses.map((each) => ({ ...each }));
    await printOut(JSON.stringify(survey === undefined ? machine : machine[0]));
  } else if (survey !== undefined && statuses[0] !== undefined) {
    await printOut(describe(statuses[0]));
  } else if (statuses.length === 0) {
    printNote('no surveys yet; submit one with: transect launch survey.yaml');
  } else {
    await printOut(formatTable(statuses.map(brief)));
  }
}

async function agents(flags: JsonFlags): Promise<void> {
  const answer = await withBus(flags, (bus) => bus.control.ask('agents', {}));
  if (flags.json) await printOut(JSON.stringify(answer.agents));
  else if (answer.agents.length === 0) {
    printNote('no agents yet; start one with: transect-agent --vantage LABEL');
  } else {
    const rows = answer.agents.map(({ agent, vantage, state, rate, framesDropped, ...rest }) => ({
      agent,
      vantage,
      state,
      'rate/s': Math.round(rate),
      'lent/s': Math.round(rest.granted),
      framesDropped,
      seen: `${formatDuration(rest.seenMillisAgo)} ago`,
      version: rest.version,
      problem: rest.problem,
    }));
    await printOut(formatTable(rows));
  }
}

function brief(status: SurveyStatus): Record<string, string | number> {
  return {
    survey: status.survey,
    name: status.name,
    state: status.state,
    targets: formatCount(status.targets),
    targetsCovered: percent(status.targetsCovered, status.targets),
    'rate/s': formatCount(status.rate),
    rows: formatCount(status.rowsStored),
  };
}

function describe(status: SurveyStatus): string {
  const { targets, probesSent, targetsCovered, synack, rst, icmp } = status;
  const lines = {
    survey: `${status.survey} ${status.name}`,
    state: status.state,
    targets: formatCount(targets),
    sent: formatCount(probesSent),
    targetsCovered: `${formatCount(targetsCovered)} (${percent(targetsCovered, targets)})`,
    open: formatCount(synack),
    closed: formatCount(rst),
    icmp: formatCount(icmp),
    silent: formatCount(silentOf(status)),
    ...unsentLines(status),
    rows: formatCount(status.rowsStored),
    shards: `${formatCount(status.shardsStored)} of ${formatCount(status.shards)} stored`,
    rate: `${formatCount(status.rate)} of ${formatCount(status.budget)} probes/s, ${plural(status.agents, 'agent')}`,
    started: isoTime(status.startedAt),
    ...(status.endedAt > 0 ? { ended: isoTime(status.endedAt) } : {}),
    ...(status.notice === '' ? {} : { notice: status.notice }),
    ...(status.problem === '' ? {} : { STALLED: status.problem }),
    ...(status.framesDropped > 0
      ? { framesDropped: `${formatCount(status.framesDropped)} frames by captures` }
      : {}),
  };
  return Object.entries(lines)
    .map(([name, text]) => `${name.padEnd(9)} ${text}`)
    .join('\n');
}
