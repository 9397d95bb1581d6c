/** What a survey's record names by hash: read from the broker, and checked. */
import { describeError, Fault } from '../../shared/base/faults.js';
import type { SpaceStore } from '../../shared/bus/interfaces.js';
import { Plan } from '../../shared/survey/plan.js';
import { refuseOtherBytes, spaceFromBytes } from '../../shared/survey/space/space-bytes.js';
import type { Survey } from '../../shared/survey/survey.js';

/** @throws Fault BAD_MESSAGE where its space cannot be read, or is another */
export async function readPlan(shelf: SpaceStore, survey: Survey): Promise<Plan> {
  const space = spaceFromBytes(await readSpaceBytes(shelf, survey.spaceHash));
  return new Plan(space, survey.seed, survey.shardLength);
}

/** @throws Fault BAD_MESSAGE where there is none of this hash, or it cannot be read */
export async function readSpaceBytes(shelf: SpaceStore, hash: string): Promise<Uint8Array> {
  const bytes = await shelf.get(hash).catch((cause: unknown) => {
    throw new Fault('BAD_MESSAGE', `cannot read the space: ${describeError(cause)}`, {}, cause);
  });
  if (bytes === undefined) throw new Fault('BAD_MESSAGE', 'the space is not on the shelf');
  refuseOtherBytes(bytes, hash, 'the space');
  return bytes;
}
