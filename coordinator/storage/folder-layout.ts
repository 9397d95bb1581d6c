/** The names of a survey's files, and what its `survey.json` says: the question, all but the key. */
import { join } from 'node:path';
import { z } from 'zod';
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Disk } from '../../shared/host/disk.js';
import type { Survey } from '../../shared/survey/survey.js';

export const SURVEY_FILE = 'survey.json';
export const SPACE_FILE = 'space.bin';
export const RULES_FILE = 'rules.json';
export const JOURNAL_FILE = 'ledger.ndjson';
export const MANIFEST_FILE = 'manifest.json';

/** What a survey was, from its folder alone. @throws Fault BAD_MESSAGE or UNREADABLE_FILE */
export async function readFolder(disk: Disk, folder: string) {
  const file = join(folder, SURVEY_FILE);
  const record = await disk.read(file, LIMITS.recordOctets);
  const space = await disk.read(join(folder, SPACE_FILE));
  const rules = await disk.read(join(folder, RULES_FILE));
  if (record === undefined || space === undefined)
    throw new Fault('UNREADABLE_FILE', `it has no ${SURVEY_FILE} or ${SPACE_FILE}`, {
      file: folder,
    });
  const text = record.toString();
  return {
    survey: surveyFromJson(text, file),
    isRestorable: isRestorable(text),
    space: new Uint8Array(space),
    rules: rules && new Uint8Array(rules),
  };
}

/** Paths within a survey's folder that there may be, and no others. */
const FILES = /^((survey|manifest|rules)\.json|space\.bin|ledger\.ndjson)$/;
const SEGMENT = /^segments\/\d{9,12}(-\d{9,12})?\.(parquet|csv|ndjson)$/;

/** Whether a path names one of a survey's files: whoever asks, or answers, may mean any file there is. */
export function isSurveyFile(path: string): boolean {
  return FILES.test(path) || SEGMENT.test(path);
}

/** What a survey's file does not say: it changes, or is secret. */
type Fleeting = 'key' | 'state' | 'storedBelow' | 'term' | 'firstEpoch';

/** What can be said of a survey in public: whoever has its key can forge replies. */
export type PublicSurvey = Omit<Survey, Fleeting>;

const shape = z.looseObject({
  id: z.string(),
  seed: z.string(),
  shardLength: z.number().int().min(1),
  planHash: z.string(),
  segmentFormat: z.string(),
  report: z.enum(['successes', 'all']),
});

/** @param isLasting whether a coordinator may put it back from its folder */
export function surveyToJson(survey: Survey, isRestorable: boolean): string {
  const fleeting: Record<Fleeting, undefined> = {
    ...{ key: undefined, state: undefined, storedBelow: undefined, term: undefined },
    firstEpoch: undefined,
  };
  return `${JSON.stringify({ ...survey, ...fleeting, isRestorable }, null, 2)}\n`;
}

function isRestorable(text: string): boolean {
  return (JSON.parse(text) as { isRestorable?: unknown }).isRestorable === true;
}

/** @throws Fault BAD_MESSAGE where the text is no survey */
export function surveyFromJson(text: string, file: string): PublicSurvey {
  try {
    return shape.parse(JSON.parse(text)) as unknown as PublicSurvey;
  } catch (cause) {
    throw new Fault('BAD_MESSAGE', 'the file is not a survey', { file }, cause);
  }
}
