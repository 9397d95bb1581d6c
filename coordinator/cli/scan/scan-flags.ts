/** The flags of `transect scan`, as commander parses them. */
import type { RowFilter } from '../../sink/row-filter.js';
import type { SurveyFlags } from '../survey/survey-options.js';

export interface ScanFlags extends SurveyFlags {
  readonly agents: number;
  readonly outputFile?: string;
  readonly outputFields?: readonly string[];
  readonly headerRow: boolean;
  readonly outputFilter?: RowFilter;
  readonly data: string;
  readonly quiet?: boolean;
  readonly dryrun?: boolean;
}
