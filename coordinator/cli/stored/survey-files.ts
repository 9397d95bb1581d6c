/**
 * The files of a survey, from any place: a named folder, the coordinator's folder if it is on this host, or a
 * copy through the broker, in a temporary folder.
 */
import { rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Fault } from '../../../shared/base/faults.js';
import { LIMITS } from '../../../shared/base/limits.js';
import type { ControlBus } from '../../../shared/bus/interfaces.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { scratchFolder } from '../../../shared/host/scratch.js';
import { isOver } from '../../../shared/survey/survey.js';
import {
  isSurveyFile,
  JOURNAL_FILE,
  type PublicSurvey,
  SURVEY_FILE,
  surveyFromJson,
} from '../../storage/folder-layout.js';
import { rewriteLine } from '../output/print.js';
import { type BrokerFlags, withBus } from '../with-bus.js';

const TRIES = 5;

export interface SurveyFiles {
  readonly folder: string;
  readonly survey: PublicSurvey;
  /** Updates the folder. @returns true if nothing more will come */
  refresh(): Promise<boolean>;
}

/** @param name a survey, or its folder */
export async function withSurveyFiles<Result>(
  flags: BrokerFlags,
  name: string,
  work: (files: SurveyFiles) => Promise<Result>,
): Promise<Result> {
  const here = await localFolder(name);
  if (here !== undefined) return await work({ ...here, refresh: async () => true });
  return await withBus(flags, async (bus) => {
    const { survey: id, folder } = await bus.control.ask('files', { survey: name });
    const isEnded = async () => {
      const { statuses } = await bus.control.ask('status', { survey: id });
      return statuses.every(({ state }) => isOver(state));
    };
    const copy = await scratchFolder('files');
    try {
      await fetchFile(bus, id, SURVEY_FILE, copy);
      const text = (await recordIn(copy)) ?? '';
      const survey = surveyFromJson(text, SURVEY_FILE);
      // On the same host, the files are used in place. The coordinator’s answer could name any folder, so the
      // survey in that folder is compared with the survey in the answer.
      if ((await recordIn(folder).catch(() => undefined)) === text) {
        return await work({ folder, survey, refresh: isEnded });
      }
      const refresh = async () => {
        const hasEnded = await isEnded(); // requested first, so that everything stored by then is copied
        await mirror(bus, id, copy);
        return hasEnded;
      };
      await refresh();
      return await work({ folder: copy, survey, refresh });
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });
}

/**
 * A name that is an existing path, or contains a slash, means a folder, and never a survey on the broker.
 * @throws Fault NOT_FOUND
 */
async function localFolder(name: string): Promise<Omit<SurveyFiles, 'refresh'> | undefined> {
  const folder = resolve(name);
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined && !name.includes('/')) return undefined;
  const text = found?.isDirectory() ? await recordIn(folder) : undefined;
  if (text !== undefined) {
    return { folder, survey: surveyFromJson(text, join(folder, SURVEY_FILE)) };
  }
  const reason =
    found === undefined
      ? 'there is no such folder'
      : found.isDirectory()
        ? `not the folder of a survey: ${SURVEY_FILE} is missing`
        : 'a file, and not the folder of a survey';
  throw new Fault('NOT_FOUND', reason, { value: name });
}

async function recordIn(folder: string): Promise<string | undefined> {
  return (await systemDisk.read(join(folder, SURVEY_FILE), LIMITS.recordOctets))?.toString();
}

/**
 * Copies missing files. The journal is fetched first, so that the files copied after it hold the rows of
 * every shard that it lists.
 */
export async function mirror(bus: ControlBus, survey: string, folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const journal = join(folder, JOURNAL_FILE);
      await fetchFile(bus, survey, JOURNAL_FILE, folder, `${journal}.new`).catch(noneYet);
      const { files } = await bus.control.ask('files', { survey });
      let copied = 0;
      for (const file of files.filter((each) => each !== JOURNAL_FILE)) {
        if (!isSurveyFile(file)) throw stranger(file);
        if (process.stderr.isTTY) rewriteLine(`copying ${++copied} of ${files.length} files`);
        if ((await systemDisk.size(join(folder, file))) > 0) continue;
        await fetchFile(bus, survey, file, folder);
      }
      if (process.stderr.isTTY) rewriteLine('');
      await rename(`${journal}.new`, journal).catch(() => {}); // there is none yet
      return;
    } catch (error) {
      // Small files are merged while we copy them: then the list changes.
      if (attempt === TRIES || !(error instanceof Fault && error.code === 'NOT_FOUND')) throw error;
    }
  }
}

function noneYet(error: unknown): void {
  if (!(error instanceof Fault && error.code === 'NOT_FOUND')) throw error;
}

/**
 * The fault about a file that is not part of a survey: such a file is refused, so that nothing is written
 * outside the temporary folder.
 */
function stranger(file: string): Fault {
  return new Fault(
    'BAD_MESSAGE',
    'the coordinator’s answer names a file that is not part of a survey',
    { value: file },
  );
}

async function fetchFile(
  bus: ControlBus,
  survey: string,
  file: string,
  folder: string,
  path = join(folder, file),
): Promise<void> {
  const chunks = async function* () {
    for (let offset = 0; ; ) {
      const { chunk, total } = await bus.control.ask('file', { survey, file, offset });
      yield chunk;
      offset += chunk.length;
      if (offset >= total) return;
      if (chunk.length === 0) throw new Fault('NOT_FOUND', 'a file shrank', { value: file });
    }
  };
  await systemDisk.writeWhole(path, chunks());
}
