/** The version of this build, and of its messages. */
export const VERSION = '0.1.0';

/** Increased whenever a coordinator and an agent of different builds would misunderstand each other. */
export const PROTOCOL = 10;
