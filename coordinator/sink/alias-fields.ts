/**
 * Fields that are added to stored rows when they are read, if the survey has detected aliases: votes are known only
 * at the end.
 */
import type { Field } from './fields.js';

export const ALIAS_FIELDS: readonly Field[] = [
  {
    name: 'alias_test',
    kind: 'boolean',
    about: 'true if the address was probed to detect an alias (--detect-aliases)',
  },
  {
    name: 'alias_votes',
    kind: 'number',
    about: 'of 16 tests in the prefix of the address, those that answered this probe with success',
  },
  {
    name: 'aliased',
    kind: 'boolean',
    about: 'true if all 16 answered, this probe or another one',
  },
];

export const ALIAS_FIELD_NAMES: readonly string[] = ALIAS_FIELDS.map(({ name }) => name);
