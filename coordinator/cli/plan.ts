/** `transect plan`: what a survey would do. */
import type { Command } from 'commander';
import { command, option } from '../../shared/command/program.js';
import { fullPlan, summarizePlan } from '../plan/plan-summary.js';
import { printOut } from './output/print.js';
import { mergeDrafts, type SurveyDraft } from './survey/draft.js';
import { type ResolvedSurvey, resolveDraft } from './survey/resolve.js';
import { addSurveyOptions, draftFromFlags, type SurveyFlags } from './survey/survey-options.js';

export function planCommand(): Command {
  const made = command(
    'plan',
    'show what a survey would do: targets, exclusions, duration, peak rates',
  );
  made.argument('[file-or-targets...]', 'survey.yaml, or targets as in scan');
  return addSurveyOptions(made).addOption(option('--json', 'print JSON')).action(plan);
}

async function plan(given: readonly string[], flags: SurveyFlags & { json?: boolean }) {
  const { json, ...surveyFlags } = flags;
  const { request, composition } = await readAndResolve(given, surveyFlags);
  const report = summarizePlan(request, composition);
  await printOut(json ? JSON.stringify(report) : fullPlan(report));
}

/** Reads a survey and resolves it. */
export async function readAndResolve(
  given: readonly string[],
  flags: SurveyFlags,
): Promise<ResolvedSurvey> {
  return resolveDraft(await readDraft(given, flags));
}

/**
 * Reads every input once, because a pipe cannot be read twice. Single values of flags override the survey
 * file; lists are joined.
 */
export async function readDraft(
  given: readonly string[],
  flags: SurveyFlags,
): Promise<SurveyDraft> {
  const files = given.filter((text) => /\.ya?ml$/i.test(text));
  const targets = given.filter((text) => !files.includes(text));
  let draft = await draftFromFlags(targets, flags);
  for (const file of files) {
    // Loaded only here, because the YAML parser and the schema take 80 ms.
    const { draftFromFile } = await import('./survey/survey-file.js');
    draft = mergeDrafts(await draftFromFile(file), draft);
  }
  return draft;
}
