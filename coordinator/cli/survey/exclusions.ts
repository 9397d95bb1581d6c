/** The exclusions of the coordinator, as part of a survey that is resolved on the client. */
import { parseBlock } from '../../../shared/survey/lists/rule-list.js';
import { type Exclusion, inForce } from '../../../shared/survey/policy/exclusions.js';
import type { SurveyDraft } from './draft.js';

export function withExclusions(draft: SurveyDraft, exclusions: readonly Exclusion[]): SurveyDraft {
  const blocks = inForce(exclusions).map(({ prefix }) => parseBlock(prefix, 'transect exclude'));
  return { ...draft, exclusions: [...draft.exclusions, ...blocks] };
}
