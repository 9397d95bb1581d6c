/** `transect exclude`: opt-outs that running surveys obey within the second, and later ones from the start. */
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { isoTime } from '../../shared/base/clock.js';
import { command, option } from '../../shared/command/program.js';
import { parseBlock } from '../../shared/survey/target-list.js';
import { addBrokerOptions, type BrokerFlags, withBus } from './connection.js';
import { formatTable, printNote, printOut } from './print.js';

export function excludeCommand(): Command {
  const made = command('exclude', 'keep all surveys from probing a range, from now on');
  const add = command('add', 'exclude a range: running surveys obey at once, later ones too');
  add.argument('<cidr>', 'a prefix, a range or an address', (text) => {
    parseBlock(text, 'CIDR');
    return text;
  });
  add.addOption(
    option('--reason <text>', 'why: whoever asks later finds it').makeOptionMandatory(),
  );
  add.addOption(option('--by <name>', 'who says so (default: you)'));
  made.addCommand(addBrokerOptions(add).action(addExclusion));
  const list = command('list', 'all exclusions, with their versions');
  list.addOption(option('--json', 'for machines'));
  made.addCommand(addBrokerOptions(list).action(listExclusions));
  return made;
}

async function addExclusion(prefix: string, flags: BrokerFlags & { reason: string; by?: string }) {
  const { reason, by = userName() } = flags;
  const ask = { prefix, reason, by };
  const { version, waiting } = await withBus(flags, (bus) => bus.control.ask('exclude', ask));
  await printOut(String(version));
  const obeyed = `version ${version}: ${prefix} is excluded`;
  printNote(
    waiting.length === 0
      ? `${obeyed}, and all agents at work obey`
      : `${obeyed}; not yet heard from ${waiting.join(', ')}, who cannot send without obeying`,
  );
}

/** In a container there may be nobody of our number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] ?? `uid ${process.getuid?.() ?? ''}`;
  }
}

async function listExclusions(flags: BrokerFlags & { json?: boolean }) {
  const { exclusions } = await withBus(flags, (bus) => bus.control.ask('exclusions', {}));
  if (flags.json) await printOut(JSON.stringify(exclusions));
  else if (exclusions.length === 0) printNote('nothing is excluded beyond what surveys say');
  else {
    const rows = exclusions.map(({ version, prefix, at, by, reason }) => {
      return { version, prefix, since: isoTime(at), by, reason };
    });
    await printOut(formatTable(rows));
  }
}
