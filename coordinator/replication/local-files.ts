/** The files of a data folder that are replicated. */
import { join } from 'node:path';
import type { Disk } from '../../shared/host/disk.js';

/** Paths within the folder. @param isReplicated true of a path that is replicated */
export async function localFiles(
  disk: Disk,
  data: string,
  isReplicated: (path: string) => boolean,
): Promise<string[]> {
  const found = [...(await disk.list(data))];
  for (const folder of await disk.folders(data)) {
    const within = [folder, join(folder, 'segments')];
    for (const each of within) {
      const names = await disk.list(join(data, each));
      found.push(...names.map((name) => join(each, name)));
    }
  }
  return [...new Set(found)].filter(isReplicated);
}
