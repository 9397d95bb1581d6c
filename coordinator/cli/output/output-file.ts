/**
 * The destination of a command's rows: `-` is stdout; a regular file is written whole, at the end, by
 * renaming, and a symbolic link to one is followed; a device, a pipe or a socket is written in place. It is
 * checked before any other work, so that a bad path fails early.
 */
import { createReadStream, createWriteStream, fstatSync } from 'node:fs';
import { access, constants, open, readlink, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describeError, Fault } from '../../../shared/base/faults.js';
import { ReaderGone, writeOut } from '../../../shared/command/output.js';
import { type Chunks, makeFolder, systemDisk } from '../../../shared/host/disk.js';
import { scratchFolder } from '../../../shared/host/scratch.js';

const STDOUT = '-';
const FLAG = '--output-file';
/** The kernel's limit (path_resolution(7)). */
const LINKS_MAX = 40;

export interface OutputFile {
  /** For people. */
  readonly name: string;
  readonly isStdout: boolean;
  /** Writes all chunks. @throws Fault UNWRITABLE, or ReaderGone */
  write(chunks: Chunks): Promise<void>;
  /** The same for content that another program writes: `make` gets the path. */
  make(make: (path: string) => Promise<void>): Promise<void>;
}

/** @throws Fault UNWRITABLE if it cannot be written */
export async function openOutput(path: string): Promise<OutputFile> {
  if (path === STDOUT) return streamed('standard output', writeAll, true);
  const target = await linkedTo(path);
  const descriptor = descriptorOf(target);
  if (descriptor === 1) return streamed('standard output', writeAll, true);
  if (descriptor !== undefined) {
    if (!isOpen(descriptor)) throw unwritable(path, 'nothing is open there');
    return streamed(path, (chunks) => writeTo(descriptor, path, chunks), false);
  }
  const found = await stat(target).catch(() => undefined);
  if (found?.isDirectory()) throw unwritable(path, 'it is a folder');
  if (found !== undefined && !found.isFile()) {
    await access(target, constants.W_OK).catch((cause: unknown) => {
      throw unwritable(path, describeError(cause), cause);
    });
    return streamed(path, (chunks) => writeInPlace(target, path, chunks), false);
  }
  await tryBeside(target, path);
  return {
    name: path,
    isStdout: false,
    write: (chunks) => systemDisk.writeWhole(target, chunks),
    make: (make) => systemDisk.makeWhole(target, make),
  };
}

/**
 * The open file descriptor that a path refers to. It is written directly, because a path that is opened again
 * is written from the start of its file.
 */
function descriptorOf(file: string): number | undefined {
  if (file === '/dev/stdout') return 1;
  if (file === '/dev/stderr') return 2;
  const [, number] = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/.exec(file) ?? [];
  return number === undefined ? undefined : Number(number);
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

/** Follows symbolic links, to the end or to a file descriptor of ours. @throws Fault UNWRITABLE */
async function linkedTo(path: string): Promise<string> {
  let file = resolve(path);
  for (let links = 0; links < LINKS_MAX; links++) {
    if (descriptorOf(file) !== undefined) return file;
    const next = await readlink(file).catch(() => undefined);
    if (next === undefined) return file;
    file = resolve(dirname(file), next);
  }
  throw unwritable(path, 'too many links');
}

function streamed(
  name: string,
  write: (chunks: Chunks) => Promise<void>,
  isStdout: boolean,
): OutputFile {
  return {
    name,
    isStdout,
    write,
    async make(make) {
      const folder = await scratchFolder('output');
      try {
        const whole = join(folder, 'rows');
        await make(whole);
        await write(createReadStream(whole));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

async function writeAll(chunks: Chunks): Promise<void> {
  for await (const chunk of chunks) await writeOut(chunk);
}

async function writeTo(descriptor: number, path: string, chunks: Chunks): Promise<void> {
  const stream = createWriteStream('', { fd: descriptor, autoClose: false });
  await pipeline(Readable.from(chunks), stream).catch((cause: unknown) => {
    if ((cause as NodeJS.ErrnoException).code === 'EPIPE') throw new ReaderGone();
    throw unwritable(path, describeError(cause), cause);
  });
}

/** Opening a named pipe waits for its reader, as in every program. */
async function writeInPlace(target: string, path: string, chunks: Chunks): Promise<void> {
  try {
    const handle = await open(target, constants.O_WRONLY);
    try {
      for await (const chunk of chunks) await handle.writeFile(chunk);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'EPIPE') throw new ReaderGone();
    throw unwritable(path, describeError(cause), cause);
  }
}

/** Checks whether a file can be created beside the target, by creating one and removing it. */
async function tryBeside(target: string, path: string): Promise<void> {
  const beside = join(dirname(target), `.transect-${process.pid}.part`);
  try {
    await makeFolder(dirname(target));
    await (await open(beside, 'wx')).close();
    await rm(beside, { force: true });
  } catch (cause) {
    throw unwritable(path, describeError(cause), cause);
  }
}

function unwritable(path: string, reason: string, cause?: unknown): Fault {
  const details = { flag: FLAG, file: path };
  return new Fault('UNWRITABLE', `cannot write there: ${reason}`, details, cause);
}
