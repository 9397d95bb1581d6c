/** The names of the files in a survey's folder, and the content of `survey.json`: the survey. */
import { join } from 'node:path';
import { z } from 'zod';
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import { PROTOCOL } from '../../shared/base/version.js';
import { surveyShape } from '../../shared/bus/messages.js';
import type { Disk } from '../../shared/host/disk.js';
import type { Survey } from '../../shared/survey/survey.js';
import { SINK_NAMES } from '../sink/sink-registry.js';

export const SURVEY_FILE = 'survey.json';
export const SPACE_FILE = 'space.bin';
export const RULES_FILE = 'rules.bin';
export const JOURNAL_FILE = 'journal.ndjson';
export const MANIFEST_FILE = 'manifest.json';
export const SIGNATURE_FILE = 'manifest.sig';

/** The possible files, as paths within the folder. */
const FILES = /^((survey|manifest)\.json|(space|rules)\.bin|journal\.ndjson|manifest\.sig)$/;
const SEGMENT = new RegExp(`^segments/\\d{9,12}(-\\d{9,12})?\\.(${SINK_NAMES.join('|')})$`);

/** The fields of a survey that its file leaves out: they change. */
type Omitted = 'state' | 'term' | 'firstEpoch';

/** A survey as stored in its file. */
export type PublicSurvey = Omit<Survey, Omitted>;

/** Reads a survey from its folder alone. @throws Fault BAD_MESSAGE or UNREADABLE_FILE */
export async function readFolder(disk: Disk, folder: string) {
  const file = join(folder, SURVEY_FILE);
  const record = await disk.read(file, LIMITS.recordOctets);
  const space = await disk.read(join(folder, SPACE_FILE));
  const rules = await disk.read(join(folder, RULES_FILE));
  if (record === undefined || space === undefined) {
    const reason = `${SURVEY_FILE} or ${SPACE_FILE} is missing`;
    throw new Fault('UNREADABLE_FILE', reason, { file: folder });
  }
  const text = record.toString();
  return {
    survey: surveyFromJson(text, file),
    isRestorable: isRestorable(text),
    space: new Uint8Array(space),
    rules: rules && new Uint8Array(rules),
  };
}

/**
 * True if the path names a file that a survey's folder may have. A path that came in a message must be
 * checked, because it could name any file on the host.
 */
export function isSurveyFile(path: string): boolean {
  return FILES.test(path) || SEGMENT.test(path);
}

/** The survey's record on the broker, without the fields that are not written to the folder. */
const shape = surveyShape.omit({ state: true, term: true, firstEpoch: true }).loose();
const versionShape = z.looseObject({ id: z.string(), protocol: z.number().optional() });

/** @param isRestorable whether a coordinator may restore the survey from its folder */
export function surveyToJson(survey: Survey, isRestorable: boolean): string {
  const omitted: Record<Omitted, undefined> = {
    state: undefined,
    term: undefined,
    firstEpoch: undefined,
  };
  return `${JSON.stringify({ ...survey, ...omitted, isRestorable }, null, 2)}\n`;
}

function isRestorable(text: string): boolean {
  return (JSON.parse(text) as { isRestorable?: unknown }).isRestorable === true;
}

/** @throws Fault BAD_MESSAGE if the text is no survey, VERSION_SKEW if another version wrote it */
export function surveyFromJson(text: string, file: string): PublicSurvey {
  try {
    refuseOtherVersion(text, file);
    return shape.parse(JSON.parse(text)) as unknown as PublicSurvey;
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault('BAD_MESSAGE', 'the file is not a survey', { file }, cause);
  }
}

/** @throws Fault VERSION_SKEW if another version wrote the folder, BAD_MESSAGE if the text is no survey */
export function refuseOtherVersion(text: string, file: string): void {
  let protocol: number;
  try {
    protocol = versionShape.parse(JSON.parse(text)).protocol ?? 0;
  } catch (cause) {
    throw new Fault('BAD_MESSAGE', 'the file is not a survey', { file }, cause);
  }
  if (protocol === PROTOCOL) return;
  const reason =
    `stored by ${protocol < PROTOCOL ? 'an older' : 'a newer'} version of Transect (protocol ` +
    `${protocol}; this version reads ${PROTOCOL}): use the version that stored it`;
  throw new Fault('VERSION_SKEW', reason, { file });
}
