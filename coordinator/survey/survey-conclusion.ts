/**
 * Ends a survey on disk: first stores the settled part of its shards if it was cancelled, then writes the
 * manifest.
 */
import { describeError, Fault } from '../../shared/base/faults.js';
import type { SurveyStatus } from '../../shared/survey/status.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { Log } from '../../shared/telemetry/log.js';
import type { ManifestFacts } from '../storage/manifest.js';
import type { ShardStorer } from '../storage/shard-storer.js';

export interface Conclusion extends Omit<ManifestFacts, 'status'> {
  readonly survey: Survey;
  readonly storer: ShardStorer;
  /** The final status, once all is stored. */
  readonly status: () => SurveyStatus;
}

/** @returns whether the manifest is durable; if false (a full disk), the caller retries */
export async function concludeSurvey(conclusion: Conclusion, log: Log): Promise<boolean> {
  const { storer, status, ...facts } = conclusion;
  const { survey } = facts;
  try {
    if (survey.state === 'cancelled') await storer.storeSettled();
    await storer.flushed();
    await storer.writeManifest({ ...facts, status: status() });
    return true;
  } catch (error) {
    if (!(error instanceof Fault && error.code === 'UNWRITABLE')) throw error;
    log.error({ survey: survey.id, error: describeError(error) }, 'failed to end survey; retrying');
    return false;
  }
}
