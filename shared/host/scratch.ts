/**
 * Folders that go with the process: private to us, named by our number, and swept by the next run where
 * their process died without taking them along.
 */

import { lstatSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeError, Fault } from '../base/faults.js';

const NAME = /^transect-[a-z]+-(\d+)-[A-Za-z0-9]+$/;

/** Makes a folder that only we may enter. @throws Fault UNWRITABLE naming TMPDIR */
export async function scratchFolder(purpose: string): Promise<string> {
  await sweep();
  try {
    return await mkdtemp(join(tmpdir(), `transect-${purpose}-${process.pid}-`));
  } catch (cause) {
    const reason = `cannot make a temporary folder; TMPDIR names another place (${describeError(cause)})`;
    throw new Fault('UNWRITABLE', reason, { file: tmpdir() }, cause);
  }
}

/** Removes what dead processes of ours left; whatever is not plainly ours stays. */
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

/** A folder itself, and no link to one that somebody else put there. */
function isOurs(path: string): boolean {
  try {
    const { uid } = lstatSync(path);
    return lstatSync(path).isDirectory() && uid === process.getuid?.();
  } catch {
    return false;
  }
}
