/**
 * What a command writes to its standard streams. Every octet of stdout is awaited: a reader that is slow
 * is waited for, one that has gone ends the command quietly, and what cannot be written is a fault. A
 * closed stderr only silences what goes there.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { describeError, Fault } from '../base/faults.js';

/** Nobody reads stdout any more: there is nothing left to do, and nothing went wrong. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';

  constructor() {
    super('nobody reads the output any more');
  }
}

const WAIT_MILLIS = 1;
const waiting = new Int32Array(new SharedArrayBuffer(4));
let failure: Error | undefined;
let isWatched = false;

/** To be called before anything is written: errors of the streams are ours to hear from then on. */
export function watchOutput(): void {
  if (isWatched) return;
  isWatched = true;
  process.stdout.on('error', (error) => {
    failure ??= error;
  });
  process.stderr.on('error', () => {});
}

/** Writes to stdout; resolves once it may be forgotten. @throws ReaderGone, or Fault UNWRITABLE */
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

/** Writes octets to stdout by a system call of its own, for what is too fast for streams. @throws as above */
export function writeOutSync(octets: Uint8Array): void {
  for (let from = 0; from < octets.length; ) {
    try {
      from += writeSync(process.stdout.fd, octets, from, octets.length - from);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A pipe that is full: its reader is at work.
      if (code === 'EAGAIN') Atomics.wait(waiting, 0, 0, WAIT_MILLIS);
      else throw outputFault(error);
    }
  }
}

/** Waits for what others (help texts) have written without waiting. @throws as `writeOut` does */
export async function flushOutput(): Promise<void> {
  await writeOut('');
}

function outputFault(error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return new ReaderGone();
  const reason = `cannot write to standard output: ${describeError(error)}`;
  return new Fault('UNWRITABLE', reason, {}, error);
}
