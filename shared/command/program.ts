/**
 * The command line of both programs: options that name their flag in errors, errors as one line on stderr,
 * and named exit codes.
 */
import { Command, CommanderError, Option } from 'commander';
import { EXIT, type ExitCode, exitCodeOf } from '../base/exit-codes.js';
import { describeError, Fault } from '../base/faults.js';
import { inert } from '../base/printable.js';
import { flushOutput, ReaderGone, watchOutput } from './output.js';

/** An option with its parser; a value that cannot be parsed is a fault that names the flag. */
export function option(
  flags: string,
  about: string,
  parse?: (text: string) => unknown,
  initial?: unknown,
): Option {
  const made = new Option(flags, about);
  if (initial !== undefined) made.default(initial);
  if (parse !== undefined) {
    made.argParser((text) => atFlag(made.long ?? flags, () => parse(text)));
  }
  return made;
}

/** An option that may be repeated; the values are collected. */
export function repeatable<Value>(
  flags: string,
  about: string,
  parse: (text: string) => Value,
): Option {
  const made = new Option(flags, about);
  made.argParser((text, before: Value[] | undefined) => [
    ...(before ?? []),
    atFlag(made.long ?? flags, () => parse(text)),
  ]);
  return made;
}

/** The log level of a daemon. */
export function logLevelOption(): Option {
  const levels = ['error', 'warn', 'info', 'debug'];
  return option('--log-level <level>', 'log level', undefined, 'info').choices(levels);
}

/** A program or subcommand that throws instead of exiting. */
export function command(name: string, about: string): Command {
  return new Command(name).description(about).exitOverride().showSuggestionAfterError();
}

/** Runs a program. @returns its exit code; errors are one line on stderr */
export async function runProgram(program: Command, args: readonly string[]): Promise<ExitCode> {
  watchOutput();
  try {
    await program.parseAsync([...args], { from: 'user' });
    await flushOutput();
    return (process.exitCode as ExitCode | undefined) ?? EXIT.DONE;
  } catch (error) {
    return await report(program.name(), error);
  }
}

/**
 * Reports an error as one line on stderr, unless it was reported already or the reader of the output is gone.
 * @returns the exit code
 */
async function report(name: string, error: unknown): Promise<ExitCode> {
  if (error instanceof CommanderError) {
    // Commander has printed the reason, or the help.
    if (error.exitCode !== 0) return EXIT.USAGE;
    return await flushOutput().then(
      () => EXIT.DONE,
      (failure: unknown) => report(name, failure),
    );
  }
  if (error instanceof ReaderGone) return (process.exitCode as ExitCode | undefined) ?? EXIT.DONE;
  process.stderr.write(`${name}: ${inert(describeError(error), true)}\n`);
  if (!(error instanceof Fault) && process.env['TRANSECT_DEBUG']) console.error(error);
  return exitCodeOf(error);
}

function atFlag<Value>(flag: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw error instanceof Fault ? error.at({ flag }) : error;
  }
}
