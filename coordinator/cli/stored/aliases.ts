/** `transect aliases`: the votes on IPv6 prefixes that may answer as a whole. */
import type { Command } from 'commander';
import { Fault } from '../../../shared/base/faults.js';
import { command, option } from '../../../shared/command/program.js';
import { formatTable, printNote, printOut } from '../output/print.js';
import { addBrokerOptions, type BrokerFlags } from '../with-bus.js';
import { countVotes, testsOf } from './alias-tags.js';
import { StoredRows } from './stored-rows.js';
import { withSurveyFiles } from './survey-files.js';

export function aliasesCommand(): Command {
  const made = command('aliases', 'print the votes on IPv6 prefixes (after --detect-aliases)');
  made.argument('<survey>', 'a survey, or the folder of one');
  return addBrokerOptions(made).addOption(option('--json', 'print JSON')).action(aliases);
}

async function aliases(name: string, flags: BrokerFlags & { json?: boolean }): Promise<void> {
  await withSurveyFiles(flags, name, async ({ folder, survey }) => {
    const tests = testsOf(survey);
    if (tests === undefined) {
      const reason = 'the survey has no alias tests: it was launched without --detect-aliases';
      throw new Fault('NOT_FOUND', reason, { value: name });
    }
    const rows = new StoredRows(folder, survey);
    const votes = await rows.withTable((connection) => countVotes(connection, 'results', tests));
    const all = [...votes.all()].sort(
      (a, b) =>
        b.votes - a.votes || compareText(a.prefix, b.prefix) || compareText(a.probe, b.probe),
    );
    if (flags.json) return await printOut(JSON.stringify(all));
    if (all.length === 0) return printNote('no test has answered');
    await printOut(
      formatTable(
        all.map(({ prefix, probe, port, votes: count, isAliased }) => {
          const service = port === 0 ? probe : `${probe}:${port}`;
          return {
            prefix,
            probe: service,
            votes: `${count}/16`,
            aliased: isAliased ? 'yes' : 'no',
          };
        }),
      ),
    );
  });
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
