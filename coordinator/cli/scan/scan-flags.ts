/** The flags of `transect scan`, as commander parses them. */
import type { SurveyFlags } from '../survey/survey-options.js';

export interface ScanFlags extends SurveyFlags {
  readonly agents: number;
  readonly outputFile?: string;
  readonly outputFields?: readonly string[];
  readonly headerRow: boolean;
  readonly maxResults?: number;
  readonly maxRuntime?: number;
  readonly data: string;
  readonly quiet?: boolean;
  readonly dryrun?: boolean;
  readonly maxTargets?: number;
}
