/** `transect launch`: submits a survey to a coordinator; prints its id alone on stdout. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseAuthorization } from '../../shared/authorization/authorization.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import { command, option } from '../../shared/command/program.js';
import { checkRequest } from '../admission/admission.js';
import { briefPlan, summarizePlan } from '../plan/plan-summary.js';
import { printCompleted, printNote } from './output/print.js';
import { readDraft } from './plan.js';
import { refuseIncomplete } from './survey/draft.js';
import { withExclusions } from './survey/exclusions.js';
import { resolveDraft } from './survey/resolve.js';
import { submit } from './survey/submit.js';
import { addSurveyOptions, type SurveyFlags } from './survey/survey-options.js';
import { addBrokerOptions, type BrokerFlags, withBus, withoutBroker } from './with-bus.js';

interface LaunchFlags extends SurveyFlags, BrokerFlags {
  readonly authorization?: string;
}

const FLAG = '--authorization';
const NONE = { authorization: '', signature: '' };

export function launchCommand(): Command {
  const made = command('launch', 'submit a survey file, or targets, to the coordinator');
  made.argument('[file-or-targets...]', 'survey.yaml, or targets as in scan');
  const about = 'its authorization, as written by transect authorize; the signature is in FILE.sig';
  return addBrokerOptions(addSurveyOptions(made))
    .addOption(option(`${FLAG} <file>`, about))
    .action(launch);
}

async function launch(given: readonly string[], flags: LaunchFlags): Promise<void> {
  const { authorization: file, ...others } = flags;
  const draft = await readDraft(given, withoutBroker(others));
  refuseIncomplete(draft);
  const signed = file === undefined ? NONE : await readSigned(file);
  // An authorization names one probing order and one set of exclusions; agents enforce later ones anyway.
  const known = file === undefined ? undefined : parsed(signed.authorization, file);
  const seeded = known === undefined ? draft : { ...draft, seed: draft.seed ?? known.seed };
  await withBus(flags, async (bus) => {
    const { exclusions } = await bus.control.ask('exclusions', {});
    const entries = exclusions.slice(0, known?.exclusionsVersion);
    const resolved = resolveDraft(withExclusions(seeded, entries));
    const request = { ...resolved.request, ...signed };
    checkRequest(request, resolved.space);
    printNote(briefPlan(summarizePlan(request, resolved.composition)));
    const survey = await submit(bus.control, { ...resolved, request });
    await printCompleted(survey, 'survey');
  });
}

async function readSigned(file: string): Promise<typeof NONE> {
  const read = async (path: string) =>
    await readFile(path, 'utf8').catch((cause: unknown) => {
      const reason = `cannot read the file: ${describeError(cause)}`;
      throw new Fault('UNREADABLE_FILE', reason, { flag: FLAG, file: path }, cause);
    });
  return { authorization: await read(file), signature: await read(`${file}.sig`) };
}

function parsed(text: string, file: string) {
  try {
    return parseAuthorization(text);
  } catch (error) {
    throw error instanceof Fault ? error.at({ flag: FLAG, file }) : error;
  }
}
