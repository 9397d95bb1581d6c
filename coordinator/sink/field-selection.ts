/** Lists of fields: those that users choose, and the default ones. */
import { Fault } from '../../shared/base/faults.js';
import { ALIAS_FIELD_NAMES } from './alias-fields.js';
import { FIELDS } from './fields.js';

const INDEX = new Map([
  ...FIELDS.map(({ name }, i) => [name, i] as const),
  ...ALIAS_FIELD_NAMES.map((name) => [name, -1] as const),
]);

/** The name of a column without values, as in the input of zgrab2. */
export const BLANK = 'blank';

/**
 * Indices of fields in a row, in the given order; −1 for a blank, and for a field that is known only at the end.
 * @throws Fault BAD_OPTION for an unknown one
 */
export function fieldIndices(names: readonly string[]): readonly number[] {
  return names.map((name) => {
    const index = name === BLANK ? -1 : INDEX.get(name);
    if (index !== undefined) return index;
    const reason = `no such field; there are: ${[...INDEX.keys()].join(' ')}`;
    throw new Fault('BAD_OPTION', reason, { flag: '--output-fields', value: name });
  });
}

/** Reads `saddr,sport`; `*` is all fields. @throws Fault BAD_OPTION */
export function parseFields(text: string): readonly string[] {
  if (text.trim() === '*') return FIELDS.map(({ name }) => name);
  const names = text.split(',').map((name) => name.trim());
  fieldIndices(names);
  return names;
}

/** The chosen fields; `*` includes the fields about aliases if the survey has alias tests. */
export function withAliasFields(
  fields: readonly string[],
  hasAliasTests: boolean,
): readonly string[] {
  const isAll =
    fields.length === FIELDS.length && FIELDS.every(({ name }, i) => fields[i] === name);
  return hasAliasTests && isAll ? [...fields, ...ALIAS_FIELD_NAMES] : fields;
}

/**
 * Default fields of stored rows. If the survey has several probes, they include the probe; if it has alias
 * tests, they include the fields about aliases.
 */
export function storedFields(probes: number, hasAliasTests: boolean): readonly string[] {
  const tags = hasAliasTests ? ALIAS_FIELD_NAMES : [];
  return ['saddr', ...(probes > 1 ? ['probe'] : []), 'sport', 'classification', ...tags];
}

/**
 * Default fields of rows that are written at once. For a single probe, they are those of ZMap; for several
 * probes, they are the same as for stored rows.
 */
export function defaultFields(ports: number, probes: number): readonly string[] {
  if (probes > 1) return storedFields(probes, false);
  return ports === 1 ? ['saddr'] : ['saddr', 'sport'];
}
