/** `transect canary check`: compares the rows of a survey with what canaries have answered. */
import type { Command } from 'commander';
import { z } from 'zod';
import { EXIT } from '../../../shared/base/exit-codes.js';
import { Fault } from '../../../shared/base/faults.js';
import { canarySecretOption, readCanarySecret } from '../../../shared/command/canary-secret.js';
import { command, option, repeatable } from '../../../shared/command/program.js';
import { systemDisk } from '../../../shared/host/disk.js';
import type { Prefix6 } from '../../../shared/net/ipv6.js';
import { Canaries, type CanaryProbe, parseCanaryPrefix } from '../../../shared/survey/canaries.js';
import { type CanaryResult, checkCanaries } from '../../evidence/canary-check.js';
import { formatTable, printNote, printOut } from '../output/print.js';
import { readStoredPlan } from '../stored/stored-plan.js';
import { withSurveyFiles } from '../stored/survey-files.js';
import { addBrokerOptions, type BrokerFlags } from '../with-bus.js';

interface CheckFlags extends BrokerFlags {
  readonly prefix: readonly Prefix6[];
  readonly secret: string;
  readonly log?: string;
  readonly json?: boolean;
}

export function checkCommand(): Command {
  const made = command('check', 'compare the rows of a survey with what canaries have answered');
  made.argument('<survey>', 'a survey, or the folder of one');
  return addBrokerOptions(made)
    .addOption(
      repeatable(
        '--prefix <cidr>',
        'a prefix of canaries',
        parseCanaryPrefix,
      ).makeOptionMandatory(),
    )
    .addOption(canarySecretOption())
    .addOption(
      option('--log <file>', 'the output of canary serve: finds targets that were never probed'),
    )
    .addOption(option('--json', 'print JSON'))
    .action(check);
}

async function check(name: string, flags: CheckFlags): Promise<void> {
  const canaries = new Canaries(await readCanarySecret(flags.secret));
  const log = flags.log === undefined ? undefined : await readLog(flags.log);
  await withSurveyFiles(flags, name, async ({ folder, survey }) => {
    const plan = await readStoredPlan(folder, survey);
    const place = { survey, plan, folder, disk: systemDisk };
    const results = await checkCanaries({ ...place, prefixes: flags.prefix, canaries, log });
    if (flags.json) await printOut(JSON.stringify(Object.fromEntries(results)));
    else await describe(results);
    const isWrong = results.size === 0 || [...results.values()].some(({ madeUp }) => madeUp > 0);
    if (isWrong) process.exitCode = EXIT.FAILED;
  });
}

async function describe(results: ReadonlyMap<string, CanaryResult>): Promise<void> {
  if (results.size === 0) printNote('the survey has not probed any of these canaries');
  else
    await printOut(
      formatTable(
        [...results].map(([agent, { right, madeUp, missed, unprobed }]) => ({
          agent,
          right,
          'made up': madeUp,
          missed,
          'not probed': unprobed,
        })),
      ),
    );
}

const shape = z.object({
  at: z.iso.datetime(),
  saddr: z.string(),
  sport: z.number(),
  daddr: z.string(),
  dport: z.number(),
  seqnum: z.number(),
  answer: z.enum(['synack', 'rst']),
});

/** @throws Fault UNREADABLE_FILE, or BAD_LIST with the line */
async function readLog(file: string): Promise<readonly CanaryProbe[]> {
  if ((await systemDisk.size(file)) === 0)
    throw new Fault('UNREADABLE_FILE', 'the log is missing or empty', { flag: '--log', file });
  const probes: CanaryProbe[] = [];
  let line = 0;
  for await (const text of systemDisk.lines(file)) {
    line++;
    const read = parse(text);
    if (read === undefined)
      throw new Fault('BAD_LIST', 'not a line of canary serve', { flag: '--log', file, line });
    probes.push(read);
  }
  return probes;
}

function parse(text: string): CanaryProbe | undefined {
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
