/** The classes of a survey with the TCP SYN probe alone. */
import type { Millis } from '../../shared/base/brand.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import { emptyColumns, NO_DATA, type ResultBatch } from '../../shared/survey/results.js';
import type { SurveyLimits } from '../../shared/survey/survey-limits.js';

export const TCP_SYN = [{ name: 'tcp-syn', options: {} }];
export const TCP_SYN_SET = new ProbeSet(TCP_SYN);

/** Codes of its classes. */
export const CODE = { SILENT: 0, SYNACK: 1, RST: 2, ICMP: 3 } as const;

/** No limits, for a space. */
export function limitsOf({ size }: { readonly size: number }): SurveyLimits {
  return { maxTargets: size, maxResults: 0, maxRuntime: 0 as Millis, minHitrate: 0 };
}

/** Adds a row with the same value in each column of numbers. */
export function pushRow(columns: ResultBatch['columns'], value = 0): void {
  const { data, ...numbers } = columns;
  for (const column of Object.values(numbers)) column.push(value);
  data.push(NO_DATA);
}

/** Columns with such rows. */
export function columnsOf(...values: readonly number[]): ResultBatch['columns'] {
  const columns = emptyColumns();
  for (const value of values) pushRow(columns, value);
  return columns;
}
