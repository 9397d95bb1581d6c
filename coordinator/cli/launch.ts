/** `transect launch`: submits a survey to a coordinator; prints its id alone on stdout. */
import type { Command } from 'commander';
import { command } from '../../shared/command/program.js';
import { checkRequest } from '../intake/intake.js';
import { briefPlan, reportPlan } from '../plan/plan-report.js';
import { addNatsOption, type NatsFlags, withBus } from './connection.js';
import { draftOf } from './plan.js';
import { printNote, printOut } from './print.js';
import { addSurveyOptions, type SurveyFlags } from './survey/survey-options.js';

export function launchCommand(): Command {
  const made = command('launch', 'submit a survey file, or targets, to the coordinator');
  made.argument('[file-or-targets...]', 'survey.yaml, or targets as in scan');
  return addNatsOption(addSurveyOptions(made)).action(launch);
}

async function launch(given: readonly string[], flags: SurveyFlags & NatsFlags): Promise<void> {
  const { nats, ...surveyFlags } = flags;
  const { request, space, bytes, rules, composition } = await draftOf(given, surveyFlags);
  checkRequest(request, space);
  printNote(briefPlan(reportPlan(request, composition)));
  await withBus({ nats }, async (bus) => {
    await bus.spaces.put(request.spaceHash, bytes);
    await bus.spaces.put(request.rulesHash, rules);
    const { survey } = await bus.control.ask('launch', { request });
    printOut(survey);
  });
}
