/**
 * Temporary folders: private to us, with our process id in their name. Removed at the end, or by the next run
 * if the process died.
 */

import { lstatSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeError, Fault } from '../base/faults.js';

const NAME = /^transect-[a-z]+-(\d+)-[A-Za-z0-9]+$/;

/** Creates a folder that only we may enter. @throws Fault UNWRITABLE naming TMPDIR */
export async function scratchFolder(purpose: string): Promise<string> {
  await sweep();
  try {
    return await mkdtemp(join(tmpdir(), `transect-${purpose}-${process.pid}-`));
  } catch (cause) {
    const reason = `cannot create a temporary folder; set TMPDIR to another folder (${describeError(cause)})`;
    throw new Fault('UNWRITABLE', reason, { file: tmpdir() }, cause);
  }
}

/** Removes the folders of dead processes, and only folders of ours. */
async function sweep(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names) {
    const pid = Number(NAME.exec(name)?.[1] ?? 0);
    const path = join(tmpdir(), name);
    if (pid > 0 && !isAlive(pid) && isOurs(path))
      await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** A real folder, not a link that another user put there. */
function isOurs(path: string): boolean {
  try {
    const { uid } = lstatSync(path);
    return lstatSync(path).isDirectory() && uid === process.getuid?.();
  } catch {
    return false;
  }
}
