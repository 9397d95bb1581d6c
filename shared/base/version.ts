/** The version of this build; agents and coordinator tell each other theirs. */
export const VERSION = '0.1.0';
