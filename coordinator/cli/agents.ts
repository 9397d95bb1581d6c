/** `transect agents`: all agents and their state. */
import type { Command } from 'commander';
import { command, option } from '../../shared/command/program.js';
import { formatDuration } from '../../shared/survey/quantities.js';
import type { AgentStatus } from '../../shared/survey/status.js';
import { formatTable, printNote, printOut } from './output/print.js';
import { addBrokerOptions, type BrokerFlags, withBus } from './with-bus.js';

export function agentsCommand(): Command {
  const made = command('agents', 'list agents and their state');
  return addBrokerOptions(made).addOption(option('--json', 'print JSON')).action(listAgents);
}

async function listAgents(flags: BrokerFlags & { json?: boolean }): Promise<void> {
  const { agents } = await withBus(flags, (bus) => bus.control.ask('agents', {}));
  if (flags.json) await printOut(JSON.stringify(agents));
  else if (agents.length > 0) await printOut(formatTable(agents.map(row)));
  else printNote('no agents yet; start one with: transect-agent --vantage LABEL');
}

function row(status: AgentStatus): Record<string, string | number> {
  return {
    agent: status.agent,
    vantage: status.vantage,
    state: status.state,
    'rate/s': Math.round(status.rate),
    'granted/s': Math.round(status.granted),
    dropped: status.framesDropped,
    seen: `${formatDuration(status.seenMillisAgo)} ago`,
    version: status.version,
    problem: status.problem,
  };
}
