/** What the command line may ask, verb by verb. */
import { join } from 'node:path';
import type { Pps } from '../shared/base/brand.js';
import { every } from '../shared/base/clock.js';
import { Fault } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import { stopController } from '../shared/base/stop.js';
import type { ControlHandlers } from '../shared/bus/interfaces.js';
import type { Coordinator } from './coordinator.js';
import { isSurveyFile } from './storage/folder-layout.js';

/** How long agents are waited for that have not said yet that they obey an exclusion. */
const OBEY_MILLIS = 1500;
const LOOK_MILLIS = 50;

export function controlHandlers(coordinator: Coordinator): ControlHandlers {
  const { surveys } = coordinator;
  const find = (survey: string) => coordinator.find(survey);
  return {
    launch: async ({ request }) => {
      if (request === undefined) throw new Fault('BAD_MESSAGE', 'nothing is asked for');
      return { survey: (await coordinator.launch(request)).survey.id };
    },
    status: async ({ survey }) => ({
      statuses:
        survey === '' ? surveys.all.map(({ status }) => status) : [(await find(survey)).status],
    }),
    pause: async ({ survey }) => {
      const run = await find(survey);
      await run.pause();
      return { survey: run.survey.id };
    },
    resume: async ({ survey }) => {
      const run = await find(survey);
      await run.resume();
      return { survey: run.survey.id };
    },
    cancel: async ({ survey, immediately }) => {
      const run = await find(survey);
      await run.cancel(immediately);
      return { survey: run.survey.id };
    },
    rate: async ({ survey, rate }) => {
      const run = await find(survey);
      if (!(rate > 0)) throw new Fault('BAD_OPTION', 'a rate is above 0', { value: `${rate}` });
      await run.setRate(rate as Pps);
      return { survey: run.survey.id };
    },
    exclude: async ({ prefix, reason, by }) => {
      const version = await coordinator.exclusions.add(prefix, reason, by);
      for (const run of surveys.running.values()) run.renewGrants();
      return { version, waiting: await waitForAgents(coordinator, version) };
    },
    lift: async ({ lifted, reason, by }) => {
      const version = await coordinator.exclusions.lift(lifted, reason, by);
      for (const run of surveys.running.values()) run.renewGrants();
      return { version, waiting: await waitForAgents(coordinator, version) };
    },
    exclusions: async () => ({ exclusions: coordinator.exclusions.list.entries }),
    lookup: async ({ survey, target }) => {
      const run = await find(survey);
      return { survey: run.survey.id, results: await run.lookup(target) };
    },
    agents: async () => ({
      agents: coordinator.agents.statuses(coordinator.surveyAgents),
    }),
    files: async ({ survey }) => {
      const { surveyFolder, survey: found } = await find(survey);
      return { survey: found.id, folder: surveyFolder.folder, files: await surveyFolder.files() };
    },
    file: async ({ survey, file, offset }) => {
      const { surveyFolder } = await find(survey);
      const missing = new Fault('UNKNOWN_SURVEY', 'the survey has no such file', { value: file });
      if (!isSurveyFile(file)) throw missing;
      const path = join(surveyFolder.folder, file);
      const total = await surveyFolder.disk.size(path);
      if (total === 0) throw missing; // merged meanwhile, where it was listed
      return { chunk: await surveyFolder.disk.readPart(path, offset, LIMITS.chunkOctets), total };
    },
  };
}

/** Waits until all agents at work obey a version. @returns those that have not said so in time */
async function waitForAgents(
  coordinator: Coordinator,
  version: number,
): Promise<readonly string[]> {
  const { clock, agents } = coordinator;
  const stop = stopController();
  const end = clock.monotonic() + OBEY_MILLIS;
  await every(clock, LOOK_MILLIS, stop.signal, () => {
    if (agents.waitingFor(version).length === 0 || clock.monotonic() > end) stop.abort();
  });
  return agents.waitingFor(version);
}
