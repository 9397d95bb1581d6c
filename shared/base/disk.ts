/**
 * Disk is a port. Files are whole or not there: written beside, made durable, renamed into place;
 * writing the same file twice changes nothing. Beside them there are journals, which only grow, by
 * whole lines.
 */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { describeError, Fault } from './faults.js';

type Chunks = Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

export interface Disk {
  /** Durable when it resolves; missing folders are made. @throws Fault UNWRITABLE */
  writeWhole(file: string, chunks: Chunks): Promise<void>;
  /** As `writeWhole`, for what only another program can write: `make` gets where to. */
  makeWhole(file: string, make: (beside: string) => Promise<void>): Promise<void>;
  /** Appends whole lines, after the last whole line there is. Durable when it resolves. @throws Fault UNWRITABLE */
  append(file: string, lines: string): Promise<void>;
  /** Undefined where there is no such file. */
  read(file: string): Promise<Buffer | undefined>;
  /** At most `length` octets from `offset` on; none where there are none. */
  readPart(file: string, offset: number, length: number): Promise<Uint8Array>;
  /** The whole lines of a file, without their ends; none where it is missing. */
  lines(file: string): AsyncIterable<string>;
  /** Names of the files in a folder; none where it is missing. */
  list(folder: string): Promise<readonly string[]>;
  /** Octets of a file; 0 where it is missing. */
  size(file: string): Promise<number>;
  /** Nothing happens where there is no such file. */
  remove(file: string): Promise<void>;
}

export const systemDisk: Disk = {
  async writeWhole(file, chunks) {
    await systemDisk.makeWhole(file, async (beside) => {
      const handle = await open(beside, 'w');
      try {
        for await (const chunk of chunks) await handle.writeFile(chunk);
      } finally {
        await handle.close();
      }
    });
  },
  async makeWhole(file, make) {
    const beside = `${file}.${process.pid}.part`;
    try {
      await mkdir(dirname(file), { recursive: true });
      await make(beside);
      await sync(beside);
      await rename(beside, file);
      await sync(dirname(file));
    } catch (cause) {
      await rm(beside, { force: true }).catch(() => {}); // the first failure is what matters
      throw unwritable(file, cause);
    }
  },
  async append(file, lines) {
    try {
      await mkdir(dirname(file), { recursive: true });
      const handle = await open(file, 'a+');
      try {
        const { size } = await handle.stat();
        const last = size === 0 ? '\n' : await tail(handle, size);
        // Whoever died while he wrote left half a line: it is ended, and nobody can read it.
        await handle.writeFile(last === '\n' ? lines : `\n${lines}`);
        await handle.sync();
        if (size === 0) await sync(dirname(file));
      } finally {
        await handle.close();
      }
    } catch (cause) {
      throw unwritable(file, cause);
    }
  },
  read: (file) => readFile(file).catch(undefinedIfMissing),
  async readPart(file, offset, length) {
    const handle = await open(file, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  },
  async *lines(file) {
    if ((await stat(file).catch(undefinedIfMissing)) === undefined) return;
    const input = createReadStream(file, { highWaterMark: 1 << 20 });
    try {
      yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
    } finally {
      input.destroy(); // also where the reader has seen enough
    }
  },
  list: async (folder) => (await readdir(folder).catch(undefinedIfMissing)) ?? [],
  size: async (file) => (await stat(file).catch(undefinedIfMissing))?.size ?? 0,
  remove: (file) => rm(file, { force: true }),
};

async function tail(handle: Awaited<ReturnType<typeof open>>, size: number): Promise<string> {
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer.toString();
}

function unwritable(file: string, cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  return new Fault('UNWRITABLE', `cannot write: ${describeError(cause)}`, { file }, cause);
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
