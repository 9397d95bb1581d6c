/**
 * Faults are errors of the outside world, each with one sentence that says what to do. Callers branch on
 * `code`; `details` names flag, file, line and value if there are any.
 */
import type { FaultCode } from './exit-codes.js';

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

  /** The same fault with more of its location; known parts stay. */
  at(details: FaultDetails): Fault {
    return new Fault(this.code, this.message, { ...details, ...known(this.details) }, this.cause);
  }

  /** One line for people: `--ports, "70000": a port is a number from 1 to 65535`. */
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

/** Runs a parser; a fault that it throws gets the location of the item. @throws Fault */
export function located<Value>(location: FaultDetails, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw error instanceof Fault ? error.at(location) : error;
  }
}

/** One line for people about any error. */
export function describeError(error: unknown): string {
  if (error instanceof Fault) return error.toLine();
  return error instanceof Error ? error.message : String(error);
}
