/**
 * Faults are errors of the outside world, each with one sentence that says what to do. Callers branch on
 * `code`; `details` names flag, file, line and value if there are any.
 */
import { EXIT, type ExitCode } from './exit.js';

const EXIT_OF = {
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
  /** Targets lie in special-purpose ranges that the survey does not allow by name. */
  SPECIAL_TARGETS: EXIT.REFUSED,
  /** Public targets without a contact and a purpose. */
  ANONYMOUS_SURVEY: EXIT.REFUSED,
  /** A known request that is not supported yet. */
  UNSUPPORTED: EXIT.REFUSED,
  /** The agent's own policy forbids the request. */
  LOCAL_POLICY: EXIT.REFUSED,
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
  /** Somebody else ended the survey. */
  ENDED_BY_OTHERS: EXIT.FAILED,
  /** A child process ended although it was still needed. */
  CHILD_ENDED: EXIT.FAILED,
} as const satisfies Record<string, ExitCode>;

export type FaultCode = keyof typeof EXIT_OF;

/** The code of a fault that came in a message; an unknown code is a malformed message. */
export function toFaultCode(text: string): FaultCode {
  return Object.hasOwn(EXIT_OF, text) ? (text as FaultCode) : 'BAD_MESSAGE';
}

/** Location of bad input; every known part is given. */
export interface FaultDetails {
  readonly flag?: string | undefined;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly value?: string | undefined;
}

export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;
  readonly details: FaultDetails;

  constructor(code: FaultCode, message: string, details: FaultDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  get exitCode(): ExitCode {
    return EXIT_OF[this.code];
  }

  /** The same fault with more of its location; known parts stay. */
  at(details: FaultDetails): Fault {
    return new Fault(this.code, this.message, { ...details, ...known(this.details) }, this.cause);
  }

  /** One line for people: `--ports, "70000": a port is a number from 0 to 65535`. */
  toLine(): string {
    const { flag, file, line, value } = this.details;
    const location = [
      flag,
      file === undefined ? undefined : line === undefined ? file : `${file}:${line}`,
      value === undefined ? undefined : JSON.stringify(value),
    ].filter((part) => part !== undefined);
    return location.length === 0 ? this.message : `${location.join(', ')}: ${this.message}`;
  }
}

function known(details: FaultDetails): FaultDetails {
  return Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined));
}

/** The exit code of an error. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof Fault ? error.exitCode : EXIT.FAILED;
}

/** One line for people about any error. */
export function describeError(error: unknown): string {
  if (error instanceof Fault) return error.toLine();
  return error instanceof Error ? error.message : String(error);
}
