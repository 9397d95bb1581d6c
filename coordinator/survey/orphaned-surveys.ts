/**
 * Surveys that are under way in the folder of results and that the broker does not know: it was restarted
 * with an empty store, or another broker was given. Their folders say what they ask and what is stored.
 */
import { join } from 'node:path';
import { isoTime } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import type { Random } from '../../shared/base/random.js';
import type { Disk } from '../../shared/host/disk.js';
import { KEY_OCTETS } from '../../shared/probe/cookies.js';
import { refuseOtherBytes } from '../../shared/survey/space/space-bytes.js';
import { isSurveyId, type Survey } from '../../shared/survey/survey.js';
import type { Log } from '../../shared/telemetry/log.js';
import { MANIFEST_FILE, RULES_FILE, readFolder, SPACE_FILE } from '../storage/folder-layout.js';

/** A survey that nobody knows the state of does not send before a person says so. */
const UNKNOWN = { state: 'paused', storedBelow: 0, term: 0, firstEpoch: 0 } as const;

export interface OrphanedSurvey {
  readonly survey: Survey;
  readonly space: Uint8Array;
  /** Absent in a folder of an older version. */
  readonly rules: Uint8Array | undefined;
}

/**
 * A survey that is in `before` comes back as it was; another one, whose key and state nobody knows, comes
 * back paused and with a new key. One that cannot be read is reported and left out.
 * @param known ids of the surveys that the broker knows
 */
export async function* orphanedSurveys(
  data: string,
  known: ReadonlySet<string>,
  before: readonly Survey[],
  { disk, random, log }: { readonly disk: Disk; readonly random: Random; readonly log: Log },
): AsyncGenerator<OrphanedSurvey> {
  for (const id of await disk.folders(data)) {
    if (known.has(id) || !isSurveyId(id)) continue; // copies, say, have other names
    const folder = join(data, id);
    if ((await disk.size(join(folder, MANIFEST_FILE))) > 0) continue; // over
    try {
      const { survey, isRestorable, space, rules } = await readFolder(disk, folder);
      if (!isRestorable) continue; // of a scan, which has its own coordinator
      if (survey.id !== id) throw new Fault('BAD_MESSAGE', `it is the survey ${survey.id}`);
      refuseOtherBytes(space, survey.spaceHash, SPACE_FILE);
      if (rules !== undefined) refuseOtherBytes(rules, survey.rulesHash, RULES_FILE);
      const led = before.find((each) => each.id === id);
      const key = random.bytes(KEY_OCTETS);
      yield { survey: led ?? { ...survey, key, ...UNKNOWN }, space, rules };
    } catch (error) {
      log.error({ survey: id, error: describeError(error) }, 'survey cannot be put back');
    }
  }
}

/** What people should know of a survey that was put back at a time. @param now wall clock */
export function noticeOf({ id, state }: Survey, now: number): string {
  const next = state === 'paused' ? `; go on with: transect resume ${id}` : '';
  return (
    `the broker came back without this survey: it was put back from its folder at ${isoTime(now)}; ` +
    `what was not stored is probed again${next}`
  );
}
