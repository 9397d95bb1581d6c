/** The control API: one handler for each verb that a client can send. */
import { join } from 'node:path';
import type { Pps } from '../shared/base/brand.js';
import { type Clock, every } from '../shared/base/clock.js';
import { Fault } from '../shared/base/faults.js';
import { LIMITS } from '../shared/base/limits.js';
import { stopController } from '../shared/base/stop.js';
import { ANYONE, type ControlHandlers } from '../shared/bus/control-api.js';
import type { SurveyRequest } from '../shared/survey/survey.js';
import { TEXT } from '../shared/survey/text.js';
import type { AgentRegistry } from './agents/agent-registry.js';
import type { Enrolments } from './enrolments.js';
import type { ExclusionService } from './exclusion-service.js';
import { isSurveyFile } from './storage/folder-layout.js';
import type { KnownSurvey } from './survey/known-survey.js';
import type { Surveys } from './survey/surveys.js';
import type { Uploads } from './uploads.js';

/** Time for which a command waits for agents to acknowledge a version of the exclusions. */
const ACKNOWLEDGE_MILLIS = 1500;
const POLL_MILLIS = 50;

/** The part of the coordinator that the handlers need. */
export interface Controlled {
  readonly clock: Clock;
  readonly surveys: Pick<Surveys, 'all' | 'agents'>;
  readonly agents: AgentRegistry;
  readonly exclusions: ExclusionService;
  readonly uploads: Uploads;
  readonly enrolments: Enrolments;
  find(survey: string): Promise<KnownSurvey>;
  launch(request: SurveyRequest): Promise<KnownSurvey>;
  requireExclusions(): void;
}

export function controlHandlers(coordinator: Controlled): ControlHandlers {
  const { exclusions, uploads } = coordinator;
  const find = (survey: string) => coordinator.find(survey);
  return {
    upload: async (part, person) => ({
      total: await uploads.take(`person ${person}`, part, LIMITS.spaceOctets),
    }),
    launch: async ({ request }) => {
      if (request === undefined) throw new Fault('BAD_MESSAGE', 'the request is missing');
      return { survey: (await coordinator.launch(request)).survey.id };
    },
    status: async ({ survey }) => {
      const found = survey === '' ? coordinator.surveys.all : [await find(survey)];
      return { statuses: found.map(({ status }) => status) };
    },
    pause: async ({ survey }) => {
      const found = await find(survey);
      await found.pause();
      return { survey: found.survey.id };
    },
    resume: async ({ survey }) => {
      const found = await find(survey);
      await found.resume();
      return { survey: found.survey.id };
    },
    cancel: async ({ survey, immediately }) => {
      const found = await find(survey);
      await found.cancel(immediately);
      return { survey: found.survey.id };
    },
    rate: async ({ survey, rate }) => {
      const found = await find(survey);
      if (!(rate > 0)) throw new Fault('BAD_OPTION', 'rates must be above 0', { value: `${rate}` });
      await found.setRate(rate as Pps);
      return { survey: found.survey.id };
    },
    exclude: async ({ prefix, reason, by }, person) => {
      const version = await exclusions.add(prefix, reason, nameOf(person, by));
      return { version, waiting: await waitForAgents(coordinator, version) };
    },
    lift: async ({ lifted, reason, by }, person) => {
      const version = await exclusions.lift(lifted, reason, nameOf(person, by));
      return { version, waiting: await waitForAgents(coordinator, version) };
    },
    exclusions: async () => ({ exclusions: exclusions.list.entries }),
    lookup: async ({ survey, target }) => {
      const found = await find(survey);
      return { survey: found.survey.id, results: await found.lookup(target) };
    },
    agents: async () => ({ agents: coordinator.agents.statuses(coordinator.surveys.agents) }),
    enrolments: async () => ({ enrolments: coordinator.enrolments.all }),
    files: async ({ survey }) => {
      const { folder, survey: found } = await find(survey);
      return { survey: found.id, folder: folder.path, files: await folder.files() };
    },
    file: async ({ survey, file, offset }) => {
      const { folder } = await find(survey);
      const missing = new Fault('NOT_FOUND', 'the survey has no such file', { value: file });
      if (!isSurveyFile(file)) throw missing;
      const path = join(folder.path, file);
      const total = await folder.disk.size(path);
      if (total === 0) throw missing; // a segment that was listed may have been merged since
      return { chunk: await folder.disk.readPart(path, offset, LIMITS.chunkOctets), total };
    },
  };
}

/** The name of the login, with the one that a request gives; without logins, only the latter. */
function nameOf(person: string, given: string): string {
  if (person === ANYONE) return given;
  const name = given === '' || given === person ? person : `${person} (${given})`;
  return name.slice(0, TEXT.NAME);
}

/** Waits until all agents at work enforce a version. @returns those that have not acknowledged it in time */
async function waitForAgents(coordinator: Controlled, version: number): Promise<readonly string[]> {
  coordinator.requireExclusions();
  const { clock, agents } = coordinator;
  const stop = stopController();
  const end = clock.monotonic() + ACKNOWLEDGE_MILLIS;
  await every(clock, POLL_MILLIS, stop.signal, () => {
    if (agents.withoutExclusions(version).length === 0 || clock.monotonic() > end) stop.abort();
  });
  return agents.withoutExclusions(version);
}
