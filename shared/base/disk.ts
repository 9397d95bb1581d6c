/**
 * Disk is a port: files are whole or not there. Written beside, made durable, renamed into place;
 * writing the same file twice changes nothing.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeError, Fault } from './faults.js';

type Chunks = Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

export interface Disk {
  /** Durable when it resolves; missing folders are made. @throws Fault UNWRITABLE */
  writeWhole(file: string, chunks: Chunks): Promise<void>;
  /** Undefined where there is no such file. */
  read(file: string): Promise<Buffer | undefined>;
  /** Names of the files in a folder; none where it is missing. */
  list(folder: string): Promise<readonly string[]>;
}

export const systemDisk: Disk = {
  async writeWhole(file, chunks) {
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
      await rm(beside, { force: true }).catch(() => {}); // the first failure is what matters
      if (cause instanceof Fault) throw cause;
      throw new Fault('UNWRITABLE', `cannot write: ${describeError(cause)}`, { file }, cause);
    }
  },
  read: (file) => readFile(file).catch(undefinedIfMissing),
  list: async (folder) => (await readdir(folder).catch(undefinedIfMissing)) ?? [],
};

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
