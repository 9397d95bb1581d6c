/**
 * Exit codes, one sentence each. Scripts may rely on the numbers; they are listed in the README
 * and never reused for another meaning.
 */
export const EXIT = {
  /** The command did what was asked. */
  DONE: 0,
  /** Something failed that none of the codes below names. */
  FAILED: 1,
  /** The command line, a survey file or a list file is invalid. */
  USAGE: 2,
  /** The survey is refused by policy: special-purpose or public targets without the required flags. */
  REFUSED: 3,
  /** The process lacks CAP_NET_RAW, so it can neither send nor capture. */
  NO_CAPABILITY: 4,
  /** The broker cannot be reached or started. */
  NO_BROKER: 5,
  /** No route, interface, source address or next hop leads to the targets. */
  NO_ROUTE: 6,
  /** No coordinator answered, or it does not know the survey. */
  NO_ANSWER: 7,
  /** Results cannot be written: an error of the file, the folder or the disk. */
  NO_OUTPUT: 8,
  /** No probe of the survey could be sent. */
  NOTHING_SENT: 9,
  /** Interrupted once: sending stopped, settled results are stored, the manifest is written. */
  DRAINED: 130,
  /** Interrupted twice: stopped at once; files on disk are whole. */
  STOPPED: 131,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
