/**
 * Exit codes, and the exit code of each error. Scripts may rely on the numbers; they are listed in the README
 * and never reused for another meaning.
 */
export const EXIT = {
  /** The command did what was asked. */
  DONE: 0,
  /** A failure that has no code of its own below. */
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
  /** Interrupted twice: stopped within seconds; files on disk are whole. */
  STOPPED: 131,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code of each error. */
const EXIT_CODE_OF = {
  /** An option or argument has a value that cannot be used. */
  BAD_OPTION: EXIT.USAGE,
  /** A line of a target, block or allow list cannot be parsed. */
  BAD_LIST: EXIT.USAGE,
  /** A survey file is not a survey. */
  BAD_SURVEY: EXIT.USAGE,
  /** A file named on the command line cannot be read. */
  UNREADABLE_FILE: EXIT.USAGE,
  /** Nothing is left to probe once exclusions are subtracted. */
  EMPTY_SPACE: EXIT.USAGE,
  /** The space has more than 2^53 targets, or does not fit into memory. */
  SPACE_TOO_LARGE: EXIT.USAGE,
  /** Targets lie in special-purpose ranges that the survey does not allow explicitly. */
  SPECIAL_TARGETS: EXIT.REFUSED,
  /** Public targets without a contact and a purpose. */
  ANONYMOUS_SURVEY: EXIT.REFUSED,
  /** No operator has authorized the survey, or not in this form. */
  UNAUTHORIZED: EXIT.REFUSED,
  /** The policy of the agent's own host forbids the survey. */
  LOCAL_POLICY: EXIT.REFUSED,
  /** The login lacks the role for this. */
  NOT_PERMITTED: EXIT.REFUSED,
  /** A known request that is not supported yet. */
  UNSUPPORTED: EXIT.REFUSED,
  /** Raw sockets are not permitted. */
  NO_CAP_NET_RAW: EXIT.NO_CAPABILITY,
  /** nats-server is not installed, or does not start. */
  NO_NATS_SERVER: EXIT.NO_BROKER,
  /** The broker does not answer. */
  BROKER_UNREACHABLE: EXIT.NO_BROKER,
  /** The broker rejects the login, or TLS fails. */
  BROKER_REFUSED: EXIT.NO_BROKER,
  /** No usable route, interface or source address. */
  NO_ROUTE: EXIT.NO_ROUTE,
  /** The next hop does not answer ARP or neighbour solicitations. */
  NO_NEIGHBOUR: EXIT.NO_ROUTE,
  /** A system call failed. */
  SYSTEM_CALL: EXIT.FAILED,
  /** The coordinator did not answer in time. */
  NO_COORDINATOR: EXIT.NO_ANSWER,
  /** The coordinator knows no such survey. */
  UNKNOWN_SURVEY: EXIT.NO_ANSWER,
  /** The agent's plan differs from the coordinator's: mixed versions. */
  PLAN_MISMATCH: EXIT.FAILED,
  /** Coordinator and agent speak different versions of the messages. */
  VERSION_SKEW: EXIT.FAILED,
  /** Another coordinator has taken over: this one may not write any more. */
  DEPOSED: EXIT.FAILED,
  /** A later process uses the name of this agent. */
  SUPERSEDED: EXIT.FAILED,
  /** A heartbeat arrived after a later one. */
  STALE: EXIT.FAILED,
  /** The survey is in a state that does not allow what was asked. */
  WRONG_STATE: EXIT.FAILED,
  /** The survey has no such file, manifest or rows. */
  NOT_FOUND: EXIT.FAILED,
  /** The target space of a survey is not in the object store, or cannot be read. */
  MISSING_SPACE: EXIT.FAILED,
  /** A message from the broker is malformed. */
  BAD_MESSAGE: EXIT.FAILED,
  /** An output cannot be written. */
  UNWRITABLE: EXIT.NO_OUTPUT,
  /** No probe of a survey was sent. */
  NOTHING_SENT: EXIT.NOTHING_SENT,
  /** Stopped by a second interrupt before everything could be written. */
  STOPPED: EXIT.STOPPED,
  /** The survey was ended because too few targets answered. */
  LOW_HITRATE: EXIT.FAILED,
  /** The survey was ended by another client. */
  ENDED_BY_OTHERS: EXIT.FAILED,
  /** A child process ended although it was still needed. */
  CHILD_ENDED: EXIT.FAILED,
} as const satisfies Record<string, ExitCode>;

export type FaultCode = keyof typeof EXIT_CODE_OF;

/** The code of a fault that came in a message; BAD_MESSAGE for an unknown code. */
export function toFaultCode(text: string): FaultCode {
  return Object.hasOwn(EXIT_CODE_OF, text) ? (text as FaultCode) : 'BAD_MESSAGE';
}

/** The exit code of an error. FAILED for an error that is not a `Fault`, because its `code` means something else. */
export function exitCodeOf(error: unknown): ExitCode {
  const isFault = error instanceof Error && error.name === 'Fault' && 'code' in error;
  const code = isFault ? String(error.code) : '';
  return Object.hasOwn(EXIT_CODE_OF, code) ? EXIT_CODE_OF[code as FaultCode] : EXIT.FAILED;
}
