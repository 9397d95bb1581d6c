/** Submits a survey: uploads its space and its block rules, and launches it. */
import { upload } from '../../../shared/bus/chunks.js';
import type { ControlApi } from '../../../shared/bus/control-api.js';
import type { ResolvedSurvey } from './resolve.js';

/** @returns the survey's id @throws Fault if the coordinator refuses it */
export async function submit(
  control: ControlApi,
  { request, bytes, rules }: Pick<ResolvedSurvey, 'request' | 'bytes' | 'rules'>,
): Promise<string> {
  const send = async (hash: string, whole: Uint8Array) =>
    await upload(whole, (offset, chunk) =>
      control.ask('upload', { hash, offset, total: whole.length, chunk }),
    );
  await send(request.spaceHash, bytes);
  await send(request.rulesHash, rules);
  return (await control.ask('launch', { request })).survey;
}
