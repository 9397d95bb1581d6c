/** The version of this build, and that of the messages it speaks. */
export const VERSION = '0.1.0';

/** Raised whenever coordinator and agents of before and after would misunderstand each other. */
export const PROTOCOL = 6;
