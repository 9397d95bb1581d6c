/** Appends at a known offset, so that an append that is repeated, or was torn by a crash, is made once. */
import { Fault } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { Disk } from '../../shared/host/disk.js';

/**
 * Makes a file have `data` from `offset` on.
 * @throws Fault UNWRITABLE, or UNREADABLE_FILE if the file is shorter than `offset`
 */
export async function appendAt(
  disk: Disk,
  file: string,
  { offset, data }: { readonly offset: number; readonly data: Uint8Array },
): Promise<void> {
  const size = await disk.size(file);
  const end = offset + data.length;
  // A disk ends a torn line before it appends; then the file would be longer than it should.
  if (size === offset && (await isWholeLines(disk, file, size)))
    return await disk.append(file, Buffer.from(data).toString());
  if (size >= end) {
    const stored = await disk.readPart(file, offset, data.length);
    if (Buffer.compare(stored, data) === 0) return;
  }
  if (size < offset) {
    const reason =
      `the copy has ${size} octets, but should have ${offset}: empty the data folder, except .cookie-secret, ` +
      'to copy all again';
    throw new Fault('UNREADABLE_FILE', reason, { file });
  }
  await disk.writeWhole(file, replaced(disk, file, offset, data));
}

async function* replaced(
  disk: Disk,
  file: string,
  offset: number,
  data: Uint8Array,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < offset; at += LIMITS.chunkOctets) {
    yield await disk.readPart(file, at, Math.min(LIMITS.chunkOctets, offset - at));
  }
  yield data;
}

/** True if the first `size` octets of a file end with a line end. */
export async function isWholeLines(disk: Disk, file: string, size: number): Promise<boolean> {
  if (size === 0) return true;
  return Buffer.from(await disk.readPart(file, size - 1, 1)).toString() === '\n';
}
