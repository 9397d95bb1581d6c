/**
 * The files of a coordinator's data folder, beside the folders of surveys:
 *
 *     DATA/exclusions.ndjson    all exclusions
 *     DATA/audit.ndjson         who has changed what
 *     DATA/term                 the last term of a coordinator on this host
 *     DATA/.cookie-secret       the root of the keys of all leases
 *     DATA/.signing-key         with which this host signs
 *     DATA/.replica             which changes of the replication log were made here
 */
import { isSurveyId } from '../shared/survey/survey.js';
import { AUDIT_FILE } from './evidence/audit-log.js';
import { EXCLUSIONS_FILE } from './exclusion-log.js';
import { isSurveyFile } from './storage/folder-layout.js';

/** True of a path within the data folder that standbys need: all but the secrets, and what belongs to a host. */
export function isReplicated(path: string): boolean {
  if (path === EXCLUSIONS_FILE || path === AUDIT_FILE) return true;
  const slash = path.indexOf('/');
  return slash > 0 && isSurveyId(path.slice(0, slash)) && isSurveyFile(path.slice(slash + 1));
}
