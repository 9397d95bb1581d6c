/** `transect verify`: proves from plan, journal and segments that every position is accounted for once. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { EXIT } from '../../../shared/base/exit.js';
import { Fault } from '../../../shared/base/faults.js';
import { command, option } from '../../../shared/command/program.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { Plan } from '../../../shared/survey/plan.js';
import { formatCount } from '../../../shared/survey/quantities.js';
import { refuseOtherBytes, spaceFromBytes } from '../../../shared/survey/space/space-bytes.js';
import { SPACE_FILE } from '../../sink/survey-folder.js';
import { type Verdict, verify } from '../../verification.js';
import { addBrokerOptions, type BrokerFlags } from '../connection.js';
import { percent, printOut, unsentLines } from '../print.js';
import { withSurveyFiles } from './survey-files.js';

export function verifyCommand(): Command {
  const made = command('verify', 'prove from plan and segments what a survey has covered');
  made.argument('<survey>', 'a survey, or the folder of one');
  return addBrokerOptions(made).addOption(option('--json', 'for machines')).action(run);
}

async function run(name: string, flags: BrokerFlags & { json?: boolean }): Promise<void> {
  await withSurveyFiles(flags, name, async ({ folder, survey }) => {
    const file = join(folder, SPACE_FILE);
    const bytes = await systemDisk.read(file);
    if (bytes === undefined) throw new Fault('UNKNOWN_SURVEY', 'the targets are missing', { file });
    const octets = new Uint8Array(bytes);
    refuseOtherBytes(octets, survey.spaceHash, SPACE_FILE);
    const plan = new Plan(spaceFromBytes(octets), survey.seed, survey.shardLength);
    const verdict = await verify({ survey, plan, folder, disk: systemDisk });
    await printOut(flags.json ? JSON.stringify(verdict) : describe(verdict));
    if (verdict.faults > 0) process.exitCode = EXIT.FAILED;
  });
}

function describe(verdict: Verdict): string {
  const { targets, covered, probed, shards, stored, rows, faults } = verdict;
  const lines: Record<string, string> = {
    targets: formatCount(targets),
    covered: `${formatCount(covered)}, ${percent(covered, targets)}${faults > 0 ? '' : ', each once'}`,
    probed: formatCount(probed),
    ...unsentLines(verdict),
    shards: `${formatCount(stored)} of ${formatCount(shards)} stored`,
    rows: `${formatCount(rows)}${faults > 0 ? '' : ', each where it belongs'}`,
    verdict:
      faults > 0
        ? `${formatCount(faults)} FAULTS`
        : covered === targets
          ? 'complete: every target is accounted for exactly once'
          : 'sound so far: what is covered is accounted for exactly once',
  };
  const text = Object.entries(lines).map(([name, line]) => `${name.padEnd(9)} ${line}`);
  return [...text, ...verdict.examples.map((example) => `  ${example}`)].join('\n');
}
