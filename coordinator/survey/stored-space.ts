/**
 * Reads the target space of a survey from the object store and verifies it: the survey's record names the
 * space by its hash.
 */
import { describeError, Fault } from '../../shared/base/faults.js';
import type { SpaceStore } from '../../shared/bus/interfaces.js';
import { Plan } from '../../shared/survey/plan.js';
import { refuseOtherBytes, spaceFromBytes } from '../../shared/survey/space/space-bytes.js';
import type { Survey } from '../../shared/survey/survey.js';

/** A plan, and the canonical bytes of its space. */
export interface StoredPlan {
  readonly plan: Plan;
  readonly space: Uint8Array;
}

/** @throws Fault MISSING_SPACE or BAD_MESSAGE */
export async function readPlan(spaces: SpaceStore, survey: Survey): Promise<StoredPlan> {
  const space = await readSpaceBytes(spaces, survey.spaceHash);
  const { seed, shardLength, limits, spaceHash } = survey;
  const plan = new Plan(spaceFromBytes(space), seed, shardLength, limits.maxTargets, spaceHash);
  return { plan, space };
}

/** @throws Fault MISSING_SPACE if it is missing or cannot be read, BAD_MESSAGE if it has another hash */
export async function readSpaceBytes(spaces: SpaceStore, hash: string): Promise<Uint8Array> {
  const bytes = await spaces.get(hash).catch((cause: unknown) => {
    const reason = `cannot read the target space: ${describeError(cause)}`;
    throw new Fault('MISSING_SPACE', reason, {}, cause);
  });
  if (bytes === undefined) {
    throw new Fault('MISSING_SPACE', 'target space missing from the object store');
  }
  refuseOtherBytes(bytes, hash, 'the target space');
  return bytes;
}
