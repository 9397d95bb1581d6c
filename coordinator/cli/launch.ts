/** `transect launch`: submits a survey to a coordinator; prints its id alone on stdout. */
import type { Command } from 'commander';
import { command } from '../../shared/command/program.js';
import { Plan, shardLengthFor } from '../../shared/survey/plan.js';
import { formatCount, formatDuration } from '../../shared/survey/quantities.js';
import { checkRequest } from '../intake/intake.js';
import { estimate } from '../plan/estimate.js';
import { addNatsOption, type NatsFlags, withBus } from './connection.js';
import { printNote, printOut } from './print.js';
import { draftOfFile } from './survey-file.js';
import {
  addSurveyOptions,
  type Drafted,
  draftOfFlags,
  finishDraft,
  mergeDrafts,
  type SurveyFlags,
} from './survey-options.js';

export function launchCommand(): Command {
  const made = command('launch', 'submit a survey file, or targets, to the coordinator');
  made.argument('<file-or-targets...>', 'survey.yaml, or targets as in scan');
  return addNatsOption(addSurveyOptions(made)).action(launch);
}

async function launch(given: readonly string[], flags: SurveyFlags & NatsFlags): Promise<void> {
  const { nats, ...surveyFlags } = flags;
  const drafted = await draftOf(given, surveyFlags);
  checkRequest(drafted.request, drafted.space);
  printNote(describePlan(drafted));
  await withBus({ nats }, async (bus) => {
    await bus.spaces.put(drafted.request.spaceHash, drafted.space.toBytes());
    const { survey } = await bus.control.ask('launch', { request: drafted.request });
    printOut(survey);
  });
}

/** A survey file may be followed by flags, which go before what it says. */
async function draftOf(given: readonly string[], flags: SurveyFlags): Promise<Drafted> {
  const files = given.filter((text) => /\.ya?ml$/i.test(text));
  const targets = given.filter((text) => !files.includes(text));
  let draft = await draftOfFlags(targets, flags);
  for (const file of files) draft = mergeDrafts(await draftOfFile(file), draft);
  return finishDraft(draft);
}

/** What will happen, in a line or two. */
export function describePlan({ request, space, composition }: Drafted): string {
  const plan = new Plan(space, request.seed, shardLengthFor(space.size));
  const { millis, bitsPerSecond } = estimate(request, space.size);
  const left = [
    composition.special > 0 ? `${formatCount(composition.special)} special-purpose left out` : '',
    composition.excluded > 0 ? `${formatCount(composition.excluded)} excluded` : '',
  ].filter((text) => text !== '');
  const notes = left.length > 0 ? ` (${left.join(', ')})` : '';
  return [
    `plan: ${formatCount(space.addresses)} addresses${notes} × ${space.ports.length} ports`,
    `= ${formatCount(space.size)} targets in ${formatCount(plan.shardCount)} shards;`,
    `about ${formatDuration(millis)} at ${formatCount(request.rate)}/s`,
    `(${formatBits(bitsPerSecond)}); seed ${request.seed}`,
  ].join(' ');
}

function formatBits(bits: number): string {
  if (bits >= 1e9) return `${(bits / 1e9).toFixed(2)} Gbit/s`;
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${(bits / 1e3).toFixed(1)} kbit/s`;
}
