/** The plan of a survey, from the space in its folder. */
import { join } from 'node:path';
import { Fault } from '../../../shared/base/faults.js';
import { systemDisk } from '../../../shared/host/disk.js';
import { Plan } from '../../../shared/survey/plan.js';
import { refuseOtherBytes, spaceFromBytes } from '../../../shared/survey/space/space-bytes.js';
import { type PublicSurvey, SPACE_FILE } from '../../storage/folder-layout.js';

/** @throws Fault NOT_FOUND if the space is missing, BAD_MESSAGE if it has another hash than the survey names */
export async function readStoredPlan(folder: string, survey: PublicSurvey): Promise<Plan> {
  const file = join(folder, SPACE_FILE);
  const bytes = await systemDisk.read(file);
  if (bytes === undefined) throw new Fault('NOT_FOUND', 'the targets are missing', { file });
  const space = new Uint8Array(bytes);
  refuseOtherBytes(space, survey.spaceHash, SPACE_FILE);
  const { seed, shardLength, limits } = survey;
  return new Plan(spaceFromBytes(space), seed, shardLength, limits.maxTargets);
}
