/**
 * A survey's files, wherever they are: in a folder that is named, in the coordinator's folder where that
 * is on this host, or copied from the coordinator through the broker into a folder that goes with the
 * command. Whoever reads them sees files on a disk.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemDisk } from '../../../shared/base/disk.js';
import { Fault } from '../../../shared/base/faults.js';
import type { Bus } from '../../../shared/bus/ports.js';
import { isOver } from '../../../shared/survey/survey.js';
import {
  LEDGER_FILE,
  type PublicSurvey,
  SURVEY_FILE,
  surveyFromJson,
} from '../../sink/survey-folder.js';
import { type NatsFlags, withBus } from '../connection.js';
import { rewriteLine } from '../print.js';

const TRIES = 5;

export interface SurveyFiles {
  readonly folder: string;
  readonly survey: PublicSurvey;
  /** Brings the folder up to date. @returns whether nothing more will come */
  refresh(): Promise<boolean>;
}

/** @param name a survey, or the folder of one */
export async function withSurveyFiles<Result>(
  flags: NatsFlags,
  name: string,
  work: (files: SurveyFiles) => Promise<Result>,
): Promise<Result> {
  const named = await systemDisk.read(join(resolve(name), SURVEY_FILE)).catch(() => undefined);
  if (named !== undefined) {
    const survey = surveyFromJson(named.toString(), join(resolve(name), SURVEY_FILE));
    return await work({ folder: resolve(name), survey, refresh: async () => true });
  }
  return await withBus(flags, async (bus) => {
    const { survey: id, folder } = await bus.control.ask('files', { survey: name });
    const text = Buffer.from(await fetchFile(bus, id, SURVEY_FILE)).toString();
    const survey = surveyFromJson(text, SURVEY_FILE);
    const isEnded = async () => {
      const { statuses } = await bus.control.ask('status', { survey: id });
      return statuses.every(({ state }) => isOver(state));
    };
    const here = await systemDisk.read(join(folder, SURVEY_FILE)).catch(() => undefined);
    if (here?.toString() === text) return await work({ folder, survey, refresh: isEnded });
    const copy = await mkdtemp(join(tmpdir(), `transect-${id}-`));
    try {
      const refresh = async () => {
        const hasEnded = await isEnded(); // asked first: what is stored by then is copied
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

/** Copies what is not here yet; the journal first, so that what it speaks of is there. */
async function mirror(bus: Bus, survey: string, folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const journal = await fetchFile(bus, survey, LEDGER_FILE).catch(noneYet);
      const { files } = await bus.control.ask('files', { survey });
      let copied = 0;
      for (const file of files.filter((each) => each !== LEDGER_FILE)) {
        if (process.stderr.isTTY) rewriteLine(`copying ${++copied} of ${files.length} files`);
        const path = join(folder, file);
        if ((await systemDisk.size(path)) > 0) continue;
        await systemDisk.writeWhole(path, [await fetchFile(bus, survey, file)]);
      }
      if (process.stderr.isTTY) rewriteLine('');
      await systemDisk.writeWhole(join(folder, LEDGER_FILE), [journal]);
      return;
    } catch (error) {
      // Small files are merged while we copy them: then the list is another one.
      if (attempt === TRIES || !(error instanceof Fault && error.code === 'UNKNOWN_SURVEY'))
        throw error;
    }
  }
}

function noneYet(error: unknown): Uint8Array {
  if (error instanceof Fault && error.code === 'UNKNOWN_SURVEY') return new Uint8Array(0);
  throw error;
}

async function fetchFile(bus: Bus, survey: string, file: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let offset = 0; ; ) {
    const { chunk, total } = await bus.control.ask('file', { survey, file, offset });
    chunks.push(chunk);
    offset += chunk.length;
    if (offset >= total) return Buffer.concat(chunks);
    if (chunk.length === 0) throw new Fault('UNKNOWN_SURVEY', 'a file shrank', { value: file });
  }
}
