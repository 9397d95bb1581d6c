/** Files that are whole or not there: written beside, made durable, renamed into place. */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeError, Fault } from '../../shared/base/faults.js';

/**
 * Writes a file as one atomic act; doing it twice changes nothing. The folder is made where it is
 * missing, and made durable too. @throws Fault UNWRITABLE
 */
export async function writeWhole(
  file: string,
  chunks: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>,
): Promise<void> {
  const beside = `${file}.${process.pid}.part`;
  try {
    await mkdir(dirname(file), { recursive: true });
    const handle = await open(beside, 'w');
    try {
      for await (const chunk of chunks) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
    await syncFolder(dirname(file));
  } catch (cause) {
    await rm(beside, { force: true });
    if (cause instanceof Fault) throw cause;
    throw new Fault('UNWRITABLE', `cannot write: ${describeError(cause)}`, { file }, cause);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
