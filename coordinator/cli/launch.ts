/** `transect launch`: submits a survey to a coordinator; prints its id alone on stdout. */
import type { Command } from 'commander';
import { command } from '../../shared/command/program.js';
import { parseBlock } from '../../shared/survey/lists/rule-list.js';
import { inForce } from '../../shared/survey/policy/exclusions.js';
import { checkRequest } from '../admission/admission.js';
import { briefPlan, summarizePlan } from '../plan/plan-summary.js';
import { printCompleted, printNote } from './output/print.js';
import { readDraft } from './plan.js';
import { refuseIncomplete } from './survey/draft.js';
import { resolveDraft } from './survey/resolve.js';
import { submit } from './survey/submit.js';
import { addSurveyOptions, type SurveyFlags } from './survey/survey-options.js';
import { addBrokerOptions, type BrokerFlags, withBus } from './with-bus.js';

export function launchCommand(): Command {
  const made = command('launch', 'submit a survey file, or targets, to the coordinator');
  made.argument('[file-or-targets...]', 'survey.yaml, or targets as in scan');
  return addBrokerOptions(addSurveyOptions(made)).action(launch);
}

async function launch(given: readonly string[], flags: SurveyFlags & BrokerFlags): Promise<void> {
  const draft = await readDraft(given, surveyFlagsOf(flags));
  refuseIncomplete(draft);
  await withBus(flags, async (bus) => {
    const { exclusions } = await bus.control.ask('exclusions', {});
    const excluded = inForce(exclusions).map(({ prefix }) =>
      parseBlock(prefix, 'transect exclude'),
    );
    const resolved = resolveDraft({ ...draft, exclusions: [...draft.exclusions, ...excluded] });
    const { request, space, composition } = resolved;
    checkRequest(request, space);
    printNote(briefPlan(summarizePlan(request, composition)));
    const survey = await submit(bus.control, resolved);
    await printCompleted(survey, 'survey');
  });
}

/** The flags of the survey, without those of the broker. */
function surveyFlagsOf(flags: SurveyFlags & BrokerFlags): SurveyFlags {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => !name.startsWith('nats')));
}
