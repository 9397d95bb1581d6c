/**
 * The standard streams of a command. Every write to stdout is awaited: a slow reader delays the command, a
 * reader that is gone ends it quietly, and a failed write is a fault. A closed stderr only silences messages.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { describeError, Fault } from '../base/faults.js';

/** The reader of stdout is gone: nothing is left to do, and nothing went wrong. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';

  constructor() {
    super('the reader of the output is gone');
  }
}

const WAIT_MILLIS = 1;
const waiting = new Int32Array(new SharedArrayBuffer(4));
let failure: Error | undefined;
let isWatched = false;

/** Handles errors of the streams; call it before anything is written. */
export function watchOutput(): void {
  if (isWatched) return;
  isWatched = true;
  process.stdout.on('error', (error) => {
    failure ??= error;
  });
  process.stderr.on('error', () => {});
}

/** Writes to stdout; resolves once the text is written. @throws ReaderGone, or Fault UNWRITABLE */
export async function writeOut(content: string | Uint8Array): Promise<void> {
  watchOutput();
  if (failure !== undefined) throw outputFault(failure);
  const { stdout } = process;
  const error = await new Promise<Error | null | undefined>((resolve) => {
    stdout.write(content, resolve);
  });
  if (error) throw outputFault(error);
  if (stdout.writableNeedDrain && !stdout.destroyed) await once(stdout, 'drain').catch(() => {});
}

/**
 * Writes octets to stdout by a system call, for output that streams are too slow for.
 * @throws ReaderGone, or Fault UNWRITABLE
 */
export function writeOutSync(octets: Uint8Array): void {
  for (let from = 0; from < octets.length; ) {
    try {
      from += writeSync(process.stdout.fd, octets, from, octets.length - from);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A full pipe: waits until its reader has read.
      if (code === 'EAGAIN') Atomics.wait(waiting, 0, 0, WAIT_MILLIS);
      else throw outputFault(error);
    }
  }
}

/**
 * Waits until the output of other code, such as commander's help texts, has reached stdout.
 * @throws as `writeOut` does
 */
export async function flushOutput(): Promise<void> {
  await writeOut('');
}

function outputFault(error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return new ReaderGone();
  const reason = `cannot write to standard output: ${describeError(error)}`;
  return new Fault('UNWRITABLE', reason, {}, error);
}
