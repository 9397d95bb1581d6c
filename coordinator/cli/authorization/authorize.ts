/** `transect authorize`: writes the authorization of a survey, as a text that an operator signs. */
import type { Command } from 'commander';
import { authorizationText } from '../../../shared/authorization/authorization.js';
import { isoTime, systemClock } from '../../../shared/base/clock.js';
import { command, option } from '../../../shared/command/program.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { Plan, shardLengthFor } from '../../../shared/survey/plan.js';
import { parseCount, parseDuration, parseRate } from '../../../shared/survey/quantities.js';
import { estimate } from '../../plan/estimate.js';
import { printNote, printOut } from '../output/print.js';
import { readDraft } from '../plan.js';
import { withExclusions } from '../survey/exclusions.js';
import { resolveDraft } from '../survey/resolve.js';
import { addSurveyOptions, type SurveyFlags } from '../survey/survey-options.js';
import { addBrokerOptions, type BrokerFlags, withBus, withoutBroker } from '../with-bus.js';

/** By default, an authorization is valid for twice the time that the survey takes, and for this long at least. */
const VALID_MILLIS_LEAST = 86_400_000;
/** Probes that are repeated because agents die. */
const SPARE_PROBES = 1.5;
const ANY_AGENT = '*';

interface AuthorizeFlags extends SurveyFlags, BrokerFlags {
  readonly outputFile: string;
  readonly valid?: number;
  readonly agents?: readonly string[];
  readonly maxRatePerAgent?: number;
  readonly maxProbes?: number;
}

export function authorizeCommand(): Command {
  const made = command('authorize', 'write the authorization of a survey, which an operator signs');
  made.argument('[file-or-targets...]', 'survey.yaml, or targets as in scan');
  const names = (text: string) => text.split(',').map((name) => name.trim());
  return addBrokerOptions(addSurveyOptions(made))
    .requiredOption('-o, --output-file <file>', 'the file to write')
    .addOption(
      option(
        '--valid <duration>',
        'how long the authorization is valid, from now on',
        parseDuration,
      ),
    )
    .addOption(option('--agents <names>', 'agents that may take part (default: all)', names))
    .addOption(option('--max-rate-per-agent <pps>', 'packets per second of each agent', parseRate))
    .addOption(option('--max-probes <n>', 'probes, including repeated ones', parseCount))
    .action(authorize);
}

async function authorize(given: readonly string[], flags: AuthorizeFlags): Promise<void> {
  const { outputFile, valid, agents, maxRatePerAgent, maxProbes, ...others } = flags;
  const draft = await readDraft(given, withoutBroker(others));
  await withBus(flags, async (bus) => {
    const { exclusions } = await bus.control.ask('exclusions', {});
    const { request, space } = resolveDraft(withExclusions(draft, exclusions));
    const { maxTargets } = request.limits;
    const shardLength = shardLengthFor(maxTargets, request.rate);
    const plan = new Plan(space, request.seed, shardLength, maxTargets, request.spaceHash);
    const { millis } = estimate(request, space);
    const now = systemClock.wall();
    const text = authorizationText({
      authorization: 1,
      name: request.name,
      planHash: plan.hash,
      seed: request.seed,
      rulesHash: request.rulesHash,
      probes: request.probes,
      probesPerTarget: request.probesPerTarget,
      maxRate: request.rate,
      maxRatePerAgent: maxRatePerAgent ?? request.rate,
      maxProbes: maxProbes ?? Math.ceil(plan.size * request.probesPerTarget * SPARE_PROBES),
      minCooldown: request.cooldown,
      allowSpecial: request.allowSpecial,
      contact: request.contact,
      purpose: request.purpose,
      exclusionsVersion: exclusions.length,
      notBefore: isoTime(now),
      notAfter: isoTime(now + (valid ?? Math.max(VALID_MILLIS_LEAST, 2 * millis))),
      agents: agents ?? [ANY_AGENT],
    });
    await systemDisk.writeWhole(outputFile, [text]);
    await printOut(outputFile);
    printNote(`read it; then sign it with: transect sign ${outputFile} --key ~/.ssh/id_ed25519`);
  });
}
