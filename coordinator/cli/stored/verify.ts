/**
 * `transect verify`: proves from plan, journal and segments that every position is accounted for exactly
 * once.
 */
import type { Command } from 'commander';
import { type AllowedSigner, readSigners } from '../../../shared/authorization/allowed-signers.js';
import { checkAuthorization } from '../../../shared/authorization/authorization.js';
import { EXIT } from '../../../shared/base/exit-codes.js';
import { command, option } from '../../../shared/command/program.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { formatCount } from '../../../shared/survey/quantities.js';
import { readRoster } from '../../auth/roster.js';
import { type Verification, verify } from '../../evidence/verification.js';
import { percent, plural, printOut, unsentLines } from '../output/print.js';
import { addBrokerOptions, type BrokerFlags } from '../with-bus.js';
import { readStoredPlan } from './stored-plan.js';
import { withSurveyFiles } from './survey-files.js';

export function verifyCommand(): Command {
  const made = command(
    'verify',
    'check from plan, journal and segments which targets a survey has covered',
  );
  made.argument('<survey>', 'a survey, or the folder of one');
  return addBrokerOptions(made)
    .addOption(option('--json', 'print JSON'))
    .addOption(
      option('--signers <file>', 'also check its authorization, by keys of this file', readSigners),
    )
    .addOption(
      option('--roster <file>', 'also check the reports that agents have signed, by this roster'),
    )
    .action(run);
}

interface VerifyFlags extends BrokerFlags {
  readonly json?: boolean;
  readonly signers?: readonly AllowedSigner[];
  readonly roster?: string;
}

async function run(name: string, flags: VerifyFlags): Promise<void> {
  await withSurveyFiles(flags, name, async ({ folder, survey }) => {
    const plan = await readStoredPlan(folder, survey);
    const { signers, roster } = flags;
    const agentKeys = roster === undefined ? undefined : await keysIn(roster);
    const verification = await verify({ survey, plan, folder, disk: systemDisk, agentKeys });
    // As of its launch, because an authorization need not be valid for ever.
    const context = { plan, signers: signers ?? [], now: survey.createdAt };
    const authorized = signers && { authorizedBy: checkAuthorization(survey, context).by };
    const result = { ...verification, ...authorized };
    await printOut(flags.json ? JSON.stringify(result) : describe(result));
    if (verification.violations > 0) process.exitCode = EXIT.FAILED;
  });
}

/** Public keys of agents, by name. @throws Fault UNREADABLE_FILE or BAD_MESSAGE */
async function keysIn(file: string): Promise<ReadonlyMap<string, string>> {
  const { entries } = await readRoster(systemDisk, file, '--roster');
  const agents = entries.filter(({ kind }) => kind === 'agent');
  return new Map(agents.map(({ name, key }) => [name, key]));
}

function reportsLine({ signedReports }: Verification): Record<string, string> {
  if (signedReports === undefined) return {};
  const { reports, signed, unsigned, otherKeys } = signedReports;
  const rest = [
    unsigned > 0 ? `${formatCount(unsigned)} not signed` : '',
    otherKeys > 0 ? `${formatCount(otherKeys)} by keys that the roster does not have` : '',
  ].filter((text) => text !== '');
  const text = `${formatCount(signed)} of ${formatCount(reports)} signed by their agents`;
  return { reports: [text, ...rest].join('; ') };
}

/** Nothing is said of a survey without cross-checks. */
function crossCheckLine({ crossChecks }: Verification): Record<string, string> {
  const { checks, unconfirmed, seen, agreed, distrusted } = crossChecks;
  const caught = Object.keys(distrusted);
  if (checks + unconfirmed + caught.length === 0) return {};
  const agreement = `${percent(agreed, seen)} of ${formatCount(seen)} answers confirmed`;
  const names = caught.length === 0 ? '' : `; not trusted any more: ${caught.join(', ')}`;
  const open = unconfirmed === 0 ? '' : `; ${plural(unconfirmed, 'shard')} stored unconfirmed`;
  return { checked: `${plural(checks, 'shard')} by another agent, ${agreement}${open}${names}` };
}

function describe(verification: Verification & { readonly authorizedBy?: string }): string {
  const { targets, targetsCovered, targetsProbed, shards, shardsStored, rows, violations } =
    verification;
  const isSound = violations === 0;
  const covered = `${formatCount(targetsCovered)}, ${percent(targetsCovered, targets)}`;
  const lines: Record<string, string> = {
    targets: formatCount(targets),
    covered: isSound ? `${covered}, each once` : covered,
    probed: formatCount(targetsProbed),
    ...unsentLines(verification),
    shards: `${formatCount(shardsStored)} of ${formatCount(shards)} stored`,
    rows: isSound ? `${formatCount(rows)}, each where it belongs` : formatCount(rows),
    ...crossCheckLine(verification),
    ...reportsLine(verification),
    ...(verification.signedBy !== '' && {
      stored: `as signed by the coordinator's key ${verification.signedBy}`,
    }),
    ...(verification.authorizedBy !== undefined && {
      signed: `authorized by ${verification.authorizedBy}`,
    }),
    result: !isSound
      ? `${plural(violations, 'VIOLATION')}`
      : targetsCovered === targets
        ? 'complete: every target is accounted for exactly once'
        : 'sound so far: every covered target is accounted for exactly once',
  };
  const text = Object.entries(lines).map(([name, line]) => `${name.padEnd(9)} ${line}`);
  return [...text, ...verification.examples.map((example) => `  ${example}`)].join('\n');
}
