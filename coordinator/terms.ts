/**
 * The number of terms there have been, kept beside the surveys: journals go by it, and a broker that comes
 * back empty has forgotten it.
 */
import { join } from 'node:path';
import { describeError } from '../shared/base/faults.js';
import type { Disk } from '../shared/host/disk.js';
import type { Log } from '../shared/telemetry/log.js';
import type { LeadershipParts } from './leadership.js';

const TERM_FILE = 'term';

export function keptTerms(data: string, disk: Disk, log: Log): LeadershipParts['terms'] {
  const file = join(data, TERM_FILE);
  /** What this process has seen, in case the file cannot be written. */
  let seen = 0;
  return {
    async highest() {
      const written = Number((await disk.read(file).catch(() => undefined))?.toString() ?? 0);
      return Math.max(seen, Number.isSafeInteger(written) ? written : 0);
    },
    async note(term) {
      seen = Math.max(seen, term);
      try {
        await disk.writeWhole(file, [`${seen}\n`]);
      } catch (error) {
        log.error({ error: describeError(error) }, 'the term cannot be written down');
      }
    },
  };
}
