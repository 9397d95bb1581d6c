/**
 * Exit codes, one sentence each. Scripts may rely on the numbers; they are listed in the README
 * and never reused for another meaning.
 */
export const EXIT = {
  /** The command did what was asked. */
  DONE: 0,
  /** Something failed that none of the codes below names. */
  FAILED: 1,
  /** The command line, a survey file or a list file cannot be used as given. */
  USAGE: 2,
  /** The survey is refused by policy: special-purpose or public targets without what they need. */
  REFUSED: 3,
  /** The process lacks CAP_NET_RAW, so it can neither send nor capture. */
  NO_CAPABILITY: 4,
  /** The broker cannot be reached or started. */
  NO_BROKER: 5,
  /** No route, interface, source address or next hop leads to the targets. */
  NO_ROUTE: 6,
  /** No coordinator answered, or the survey named is unknown to it. */
  NO_ANSWER: 7,
  /** Results cannot be written: the file, the folder or the disk refuses. */
  NO_OUTPUT: 8,
  /** Nothing could be sent: of what the survey asked about, nothing was asked. */
  NOTHING_SENT: 9,
  /** Interrupted once: sending stopped, what was settled is stored, the manifest is written. */
  DRAINED: 130,
  /** Interrupted twice: stopped at once; what is on disk is whole. */
  STOPPED: 131,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
