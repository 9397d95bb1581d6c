/**
 * The mark of a data folder that is replicated, and the reasons to refuse a folder:
 *
 *     DATA/.replica     the name of the log, and the number of the last change that was made here
 */
import { join } from 'node:path';
import { z } from 'zod';
import { Fault } from '../../shared/base/faults.js';
import type { Disk } from '../../shared/host/disk.js';

const MARK_FILE = '.replica';
const OCTETS_MAX = 1024;

const shape = z.object({
  log: z.string(),
  last: z.number().int().min(0),
  /** True if the files of this folder were the first ones in the log. */
  isOrigin: z.boolean(),
  /** True if all of them are there. */
  isComplete: z.boolean(),
});

export type ReplicaMark = z.infer<typeof shape>;

/** A secret that all copies of a data folder must have. */
export interface FolderSecret {
  /** Undefined if the folder has none yet. */
  fingerprint(): Promise<string | undefined>;
  /** Makes one, if there is none. @returns its fingerprint */
  make(): Promise<string>;
}

/** Undefined if the folder is not replicated yet. @throws Fault UNREADABLE_FILE */
export async function readMark(disk: Disk, data: string): Promise<ReplicaMark | undefined> {
  const file = join(data, MARK_FILE);
  const text = (await disk.read(file, OCTETS_MAX))?.toString();
  if (text === undefined) return undefined;
  try {
    return shape.parse(JSON.parse(text));
  } catch (cause) {
    const reason =
      'the file does not say which log is replicated: empty the data folder, except .cookie-secret, to copy all again';
    throw new Fault('UNREADABLE_FILE', reason, { file }, cause);
  }
}

/** @throws Fault UNWRITABLE */
export async function writeMark(disk: Disk, data: string, mark: ReplicaMark): Promise<void> {
  await disk.writeWhole(join(data, MARK_FILE), [`${JSON.stringify(mark)}\n`]);
}

/**
 * Refuses a data folder that is replicated: what is stored without `--replicate` would be missing in all copies.
 * @throws Fault BAD_OPTION
 */
export async function refuseReplica(disk: Disk, data: string): Promise<void> {
  const file = join(data, MARK_FILE);
  if ((await disk.size(file)) === 0) return;
  const reason =
    'the data folder is replicated: start the coordinator with --replicate, or, to end the replication for good, ' +
    `remove ${file} and the stream FILES of the broker`;
  throw refused(data, reason);
}

/** A coordinator with another data folder would take over, and lack all that is stored. */
export function mustReplicate(): Fault {
  const reason =
    'the broker has copies of a data folder (stream FILES), so all coordinators must replicate';
  return new Fault('BAD_OPTION', reason, { flag: '--replicate' });
}

/**
 * Rows cannot be checked with another secret than the one with which their probes were sent.
 * @param leaders the fingerprint of the secret of the coordinator that leads
 * @throws Fault BAD_OPTION
 */
export async function refuseOtherSecret(
  { data, secret }: { readonly data: string; readonly secret: FolderSecret },
  leaders: string,
): Promise<void> {
  const own = await secret.fingerprint();
  if (own === leaders) return;
  const what = own === undefined ? 'lacks the secret' : 'has another secret than that';
  const reason =
    `the data folder ${what} of the coordinator that leads: copy the file .cookie-secret from its data ` +
    'folder to this one, by a way that nobody can read';
  throw refused(data, reason);
}

/** @param file one of those that the folder has */
export function otherFiles(data: string, file: string): Fault {
  const reason =
    `the broker has copies of another data folder, and this one has files of its own (${file}); a ` +
    'coordinator that joins with --replicate begins with an empty folder';
  return refused(data, reason);
}

/** Files are never replaced by those of a log that may lack what they have. @param made changes made here */
export function otherLog(data: string, made: number): Fault {
  const reason =
    `the broker has lost its copies, and has others now; this data folder has ${made} changes of the former ` +
    'ones, and is not replaced: if it lacks nothing, start another coordinator with an empty folder, else ' +
    'remove the stream FILES of the broker, and start this one first';
  return refused(data, reason);
}

/** Only the folder from which the log was begun can complete it. */
export function notAllCopied(data: string): Fault {
  const reason =
    'the broker does not have all copies yet: start the coordinator whose data folder was being copied';
  return refused(data, reason);
}

function refused(data: string, reason: string): Fault {
  return new Fault('BAD_OPTION', reason, { flag: '--data', value: data });
}
