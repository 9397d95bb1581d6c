/**
 * Stores the latest term in the data folder, because journals are fenced by terms and a broker with an empty
 * store does not know the latest one. The journals of unfinished surveys are read as well, in case the term
 * file is missing.
 */
import { join } from 'node:path';
import { describeError, Fault } from '../shared/base/faults.js';
import type { Disk } from '../shared/host/disk.js';
import type { Log } from '../shared/telemetry/log.js';
import type { ElectionDeps } from './leader-election.js';
import { JOURNAL_FILE, MANIFEST_FILE } from './storage/folder-layout.js';
import { lastTermIn } from './storage/journal.js';

const TERM_FILE = 'term';

export function persistentTerms(data: string, disk: Disk, log: Log): ElectionDeps['terms'] {
  const file = join(data, TERM_FILE);
  /** The highest term of this process, in case the file cannot be written. */
  let seen = 0;
  return {
    async highest() {
      const written = (await disk.read(file))?.toString().trim();
      if (written !== undefined && !/^\d{1,9}$/.test(written)) {
        throw new Fault('UNREADABLE_FILE', 'the file does not contain a term, which is a number', {
          file,
          value: written,
        });
      }
      return Math.max(seen, Number(written ?? 0), await lastTermOf(data, disk, log));
    },
    async record(term) {
      seen = Math.max(seen, term);
      try {
        await disk.writeWhole(file, [`${seen}\n`]);
      } catch (error) {
        log.error({ error: describeError(error) }, 'failed to write the term');
      }
    },
  };
}

/** The highest term in the journals of unfinished surveys. */
async function lastTermOf(data: string, disk: Disk, log: Log): Promise<number> {
  let last = 0;
  for (const name of await disk.folders(data)) {
    const folder = join(data, name);
    if ((await disk.size(join(folder, MANIFEST_FILE))) > 0) continue;
    try {
      last = Math.max(last, await lastTermIn(disk, join(folder, JOURNAL_FILE)));
    } catch (error) {
      log.error({ survey: name, error: describeError(error) }, 'failed to read journal');
    }
  }
  return last;
}
