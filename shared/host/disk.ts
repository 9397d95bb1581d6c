/**
 * The disk interface. Files are whole or missing: each is written under a temporary name, synced and renamed.
 * Journals are append-only, in whole lines. Reading accepts regular files of bounded size only, because a
 * folder may have come from anywhere.
 */
import { randomBytes } from 'node:crypto';
import { constants, rmSync } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  unlink,
} from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeError, Fault } from '../base/faults.js';
import { LIMITS } from '../base/limits.js';

export type Chunks = Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

export interface Disk {
  /**
   * Writes a file, which is durable once the promise resolves. Missing folders are created, with access for
   * us and our group only. Only regular files are replaced, and links are not followed.
   * @throws Fault UNWRITABLE
   */
  writeWhole(file: string, chunks: Chunks): Promise<void>;
  /** As `writeWhole`, for a secret: nobody but us may read the file. */
  writeSecret(file: string, text: string): Promise<void>;
  /** As `writeWhole`, for content that another program writes: `make` gets the path of the temporary file. */
  makeWhole(file: string, make: (beside: string) => Promise<void>): Promise<void>;
  /**
   * Appends whole lines, which are durable once the promise resolves. An incomplete last line, left by a
   * crash, is ended with a newline first. @throws Fault UNWRITABLE
   */
  append(file: string, lines: string): Promise<void>;
  /** Undefined if the file is missing. @throws Fault UNREADABLE_FILE if it exceeds `octetsMax` */
  read(file: string, octetsMax?: number): Promise<Buffer | undefined>;
  /** At most `length` octets from `offset` on; none beyond the end. */
  readPart(file: string, offset: number, length: number): Promise<Uint8Array>;
  /** The whole lines of a file, without line ends; none if it is missing. @throws Fault UNREADABLE_FILE */
  lines(file: string): AsyncIterable<string>;
  /** Names of the regular files in a folder; none if the folder is missing or the path is not a folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Names of the folders in a folder; none if it is missing. */
  folders(folder: string): Promise<readonly string[]>;
  /** Octets of a regular file; 0 if it is missing. */
  size(file: string): Promise<number>;
  /** Does nothing if the file is missing. */
  remove(file: string): Promise<void>;
}

const FOLDER_MODE = 0o750;
/** Before the umask. */
const FILE_MODE = 0o666;
const SECRET_MODE = 0o600;
const READ_OCTETS = 1 << 20;
const NEW_LINE = 0x0a;

/** Temporary files not yet renamed: removed if the process exits. */
const beingMade = new Set<string>();
process.on('exit', () => {
  for (const file of beingMade) rmSync(file, { force: true });
});

export const systemDisk: Disk = {
  async writeWhole(file, chunks) {
    await replace(file, FILE_MODE, (beside) => writeChunks(beside, chunks));
  },
  async writeSecret(file, text) {
    await replace(file, SECRET_MODE, (beside) => writeChunks(beside, [text]));
  },
  async makeWhole(file, make) {
    await replace(file, FILE_MODE, make);
  },
  async append(file, lines) {
    try {
      await makeFolder(dirname(file));
      const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
      const handle = await open(file, O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_RDWR, 0o640);
      try {
        await refuseIrregular(file);
        const { size } = await handle.stat();
        const last = size === 0 ? '\n' : await tail(handle, size);
        // Terminate a torn line left by a crash.
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
  async read(file, octetsMax = LIMITS.fileOctets) {
    const handle = await openRegular(file);
    if (handle === undefined) return undefined;
    try {
      const { size } = await handle.stat();
      if (size > octetsMax) throw tooLarge(file, size, octetsMax);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  },
  async readPart(file, offset, length) {
    const handle = await openRegular(file);
    if (handle === undefined) return new Uint8Array(0);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  },
  async *lines(file) {
    const handle = await openRegular(file);
    if (handle === undefined) return;
    try {
      yield* linesOf(handle, file);
    } finally {
      await handle.close(); // also if the reader stops early
    }
  },
  async list(folder) {
    const found = await lstat(folder).catch(undefinedIfMissing);
    if (!found?.isDirectory()) return [];
    const entries =
      (await readdir(folder, { withFileTypes: true }).catch(undefinedIfMissing)) ?? [];
    return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  },
  async folders(folder) {
    const entries =
      (await readdir(folder, { withFileTypes: true }).catch(undefinedIfMissing)) ?? [];
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  },
  async size(file) {
    const found = await lstat(file).catch(undefinedIfMissing);
    return found?.isFile() ? found.size : 0;
  },
  async remove(file) {
    try {
      await unlink(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  },
};

/** Replaces a file by one that `make` writes beside it. @throws Fault UNWRITABLE */
async function replace(
  file: string,
  mode: number,
  make: (beside: string) => Promise<void>,
): Promise<void> {
  let beside = '';
  try {
    await makeFolder(dirname(file));
    await refuseIrregular(file);
    beside = `${file}.${process.pid}-${randomBytes(4).toString('hex')}.part`;
    // Exclusive, so that a link under this name is not followed.
    await (await open(beside, 'wx', mode)).close();
    beingMade.add(beside);
    await make(beside);
    await sync(beside);
    await rename(beside, file);
    beingMade.delete(beside);
    await sync(dirname(file));
  } catch (cause) {
    if (beside !== '') await rm(beside, { force: true }).catch(() => {}); // the first error is reported
    beingMade.delete(beside);
    throw unwritable(file, cause);
  }
}

async function writeChunks(file: string, chunks: Chunks): Promise<void> {
  const handle = await open(file, 'w');
  try {
    for await (const chunk of chunks) await handle.writeFile(chunk);
  } finally {
    await handle.close();
  }
}

/**
 * Creates a folder and its parents, with access for us and our group only. Does not use the recursive `mkdir`
 * of Node, which in version 20.20 never returns if a parent cannot be written to, as in /proc.
 * @throws the kernel's error
 */
export async function makeFolder(path: string): Promise<void> {
  const make = () => mkdir(path, { mode: FOLDER_MODE });
  try {
    await make();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await make().catch(async (again: NodeJS.ErrnoException) => {
      if (again.code !== 'EEXIST') throw again; // else another process was faster
    });
  }
}

/** @throws Fault UNWRITABLE if the path exists but is not a regular file, for example a link */
async function refuseIrregular(file: string): Promise<void> {
  const found = await lstat(file).catch(undefinedIfMissing);
  if (found === undefined || found.isFile()) return;
  throw new Fault('UNWRITABLE', 'is not a regular file, and is not replaced', { file });
}

/** Undefined if the file is missing. Does not wait for a pipe. @throws Fault UNREADABLE_FILE */
async function openRegular(file: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(file, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    const reason =
      error.code === 'ELOOP' ? 'is a link, and not a regular file' : describeError(error);
    throw new Fault('UNREADABLE_FILE', `cannot read the file: ${reason}`, { file }, error);
  });
  if (handle === undefined || (await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new Fault('UNREADABLE_FILE', 'cannot read the file: it is no regular file', { file });
}

/** Whole lines; a torn last line is ignored. @throws Fault UNREADABLE_FILE */
async function* linesOf(handle: FileHandle, file: string): AsyncGenerator<string> {
  const parts: Buffer[] = [];
  let octets = 0;
  for (;;) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(READ_OCTETS), 0, READ_OCTETS);
    if (bytesRead === 0) return;
    const block = buffer.subarray(0, bytesRead);
    let from = 0;
    for (let end = block.indexOf(NEW_LINE); end >= 0; end = block.indexOf(NEW_LINE, from)) {
      parts.push(block.subarray(from, end));
      yield (parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts))
        .toString()
        .replace(/\r$/, '');
      parts.length = 0;
      octets = 0;
      from = end + 1;
    }
    parts.push(block.subarray(from));
    octets += bytesRead - from;
    if (octets > LIMITS.lineOctets) throw tooLarge(file, octets, LIMITS.lineOctets);
  }
}

function tooLarge(file: string, octets: number, octetsMax: number): Fault {
  const reason = `${octets} octets exceed the limit of ${octetsMax}`;
  return new Fault('UNREADABLE_FILE', reason, { file });
}

async function tail(handle: FileHandle, size: number): Promise<string> {
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer.toString();
}

function unwritable(file: string, cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  return new Fault('UNWRITABLE', `cannot write: ${describeError(cause)}`, { file }, cause);
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
