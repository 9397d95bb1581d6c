/**
 * Orphaned surveys: surveys in the data folder that the broker does not know, either because the
 * broker was restarted with an empty store or because the coordinator was started with another broker. They
 * are restored from their folders.
 */
import { join } from 'node:path';
import { isoTime } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import { PROTOCOL } from '../../shared/base/version.js';
import type { CoordinatorBus } from '../../shared/bus/interfaces.js';
import type { Disk } from '../../shared/host/disk.js';
import { Plan } from '../../shared/survey/plan.js';
import { refuseOtherBytes, spaceFromBytes } from '../../shared/survey/space/space-bytes.js';
import { isSurveyId, type Survey } from '../../shared/survey/survey.js';
import type { Log } from '../../shared/telemetry/log.js';
import { MANIFEST_FILE, RULES_FILE, readFolder, SPACE_FILE } from '../storage/folder-layout.js';
import { readManifest } from '../storage/manifest.js';
import type { StoredPlan } from './stored-space.js';
import { SurveyRecord } from './survey-record.js';

/** A survey whose state is unknown stays paused until an operator resumes it. */
const UNKNOWN_STATE = { state: 'paused', term: 0, firstEpoch: 0 } as const;
/** More epochs than a shard can have in one term. */
const EPOCHS_PER_TERM = 65_536;

export interface OrphanedSurvey {
  readonly survey: Survey;
  readonly space: Uint8Array;
  readonly rules: Uint8Array | undefined;
}

/**
 * Finds the orphaned surveys. A survey in `previous` is restored as it was; any other one, whose state
 * is unknown, is restored paused. A folder that cannot be read is logged and
 * skipped.
 * @param known ids of the surveys that the broker knows
 */
export async function* orphanedSurveys(
  data: string,
  known: ReadonlySet<string>,
  previous: readonly Survey[],
  { disk, log }: { readonly disk: Disk; readonly log: Log },
): AsyncGenerator<OrphanedSurvey> {
  for (const id of await disk.folders(data)) {
    if (known.has(id) || !isSurveyId(id)) continue; // a copied folder has another name
    const folder = join(data, id);
    if ((await disk.size(join(folder, MANIFEST_FILE))) > 0) continue; // over
    try {
      const orphan = await readOrphan(disk, folder, id);
      const led = previous.find((each) => each.id === id);
      if (orphan !== undefined)
        yield { ...orphan, survey: led ?? { ...orphan.survey, ...UNKNOWN_STATE } };
    } catch (error) {
      log.error({ survey: id, error: describeError(error) }, 'cannot restore survey');
    }
  }
}

/**
 * Enters the surveys of the data folder that are over, and that the broker does not know, on the bus again.
 * @param known ids of the surveys that the broker knows
 */
export async function restoreFinished(
  data: string,
  known: ReadonlySet<string>,
  { bus, term, disk, log }: RestoringDeps,
): Promise<readonly Survey[]> {
  const restored: Survey[] = [];
  for (const id of await disk.folders(data)) {
    const folder = join(data, id);
    if (known.has(id) || !isSurveyId(id)) continue;
    try {
      const manifest = await readManifest(disk, folder);
      const orphan = manifest && (await readOrphan(disk, folder, id));
      if (manifest === undefined || orphan === undefined) continue;
      const { state, endReason } = manifest.status;
      const survey = { ...orphan.survey, ...UNKNOWN_STATE, state, endReason };
      restored.push((await restoreOrphan({ ...orphan, survey }, bus, term)).survey);
    } catch (error) {
      log.warn({ survey: id, error: describeError(error) }, 'cannot restore finished survey');
    }
  }
  if (restored.length > 0)
    log.warn(
      { surveys: restored.length },
      'the broker came back without finished surveys; restored',
    );
  return restored;
}

interface RestoringDeps {
  readonly bus: CoordinatorBus;
  readonly term: number;
  readonly disk: Disk;
  readonly log: Log;
}

/** Undefined for a survey of `scan`, which has its own coordinator. @throws Fault if the folder is damaged */
async function readOrphan(disk: Disk, folder: string, id: string) {
  const { survey, isRestorable, space, rules } = await readFolder(disk, folder);
  if (!isRestorable) return undefined;
  if (survey.id !== id) throw new Fault('BAD_MESSAGE', `the folder belongs to survey ${survey.id}`);
  refuseOtherBytes(space, survey.spaceHash, SPACE_FILE);
  if (rules !== undefined) refuseOtherBytes(rules, survey.rulesHash, RULES_FILE);
  return { survey, space, rules };
}

/**
 * Restores an orphaned survey on the bus. Its epochs start above all possible earlier ones, so that old
 * leases and batches do not count. @throws Fault PLAN_MISMATCH
 */
export async function restoreOrphan(
  { survey: found, space, rules }: OrphanedSurvey,
  bus: CoordinatorBus,
  term: number,
): Promise<{
  readonly survey: Survey;
  readonly stored: StoredPlan;
  readonly record: SurveyRecord;
}> {
  const firstEpoch = term * EPOCHS_PER_TERM;
  const survey = { ...found, firstEpoch, protocol: PROTOCOL };
  const plan = new Plan(
    spaceFromBytes(space),
    survey.seed,
    survey.shardLength,
    survey.limits.maxTargets,
  );
  if (plan.hash !== found.planHash) {
    const reason = 'this version of Transect computes a different plan for the survey';
    throw new Fault('PLAN_MISMATCH', reason, { value: found.id });
  }
  await bus.spaces.put(found.spaceHash, space);
  if (rules !== undefined) await bus.spaces.put(found.rulesHash, rules);
  const record = new SurveyRecord(bus.surveys, term);
  await record.write(() => survey);
  return { survey, stored: { plan, space }, record };
}

/** The notice shown with a restored survey. @param now wall clock */
export function restoredNotice({ id, state }: Survey, now: number): string {
  const next = state === 'paused' ? `; continue with: transect resume ${id}` : '';
  return (
    `the broker came back without this survey: it was restored from its folder at ${isoTime(now)}; ` +
    `positions that were not stored are probed again${next}`
  );
}
