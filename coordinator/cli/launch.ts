/** `transect launch`: submits a survey to a coordinator; prints its id alone on stdout. */
import type { Command } from 'commander';
import type { Bus } from '../../shared/bus/ports.js';
import { command } from '../../shared/command/program.js';
import { parseBlock } from '../../shared/survey/target-list.js';
import { checkRequest } from '../intake/intake.js';
import { briefPlan, reportPlan } from '../plan/plan-report.js';
import { addBrokerOptions, type BrokerFlags, withBus } from './connection.js';
import { draftOf } from './plan.js';
import { printNote, printOut } from './print.js';
import type { Drafted } from './survey/draft.js';
import { addSurveyOptions, type SurveyFlags } from './survey/survey-options.js';

export function launchCommand(): Command {
  const made = command('launch', 'submit a survey file, or targets, to the coordinator');
  made.argument('[file-or-targets...]', 'survey.yaml, or targets as in scan');
  return addBrokerOptions(addSurveyOptions(made)).action(launch);
}

async function launch(given: readonly string[], flags: SurveyFlags & BrokerFlags): Promise<void> {
  const { nats, ...surveyFlags } = flags;
  const first = await draftOf(given, surveyFlags);
  checkRequest(first.request, first.space);
  await withBus({ nats }, async (bus) => {
    const drafted = (await withExclusions(bus, given, surveyFlags)) ?? first;
    const { request, bytes, rules, composition } = drafted;
    printNote(briefPlan(reportPlan(request, composition)));
    await bus.spaces.put(request.spaceHash, bytes);
    await bus.spaces.put(request.rulesHash, rules);
    const { survey } = await bus.control.ask('launch', { request });
    await printOut(survey);
  });
}

/** The same without what `transect exclude` says by now; undefined where it says nothing. */
async function withExclusions(
  bus: Bus,
  given: readonly string[],
  flags: SurveyFlags,
): Promise<Drafted | undefined> {
  const { exclusions } = await bus.control.ask('exclusions', {});
  if (exclusions.length === 0) return undefined;
  const entries = exclusions.map(({ prefix }) => parseBlock(prefix, 'transect exclude'));
  return await draftOf(given, { ...flags, exclude: [...(flags.exclude ?? []), ...entries] });
}
