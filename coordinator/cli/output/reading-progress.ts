/** Progress of reading a long list, on stderr: a line that is rewritten on a terminal, else a line now and then. */
import { statSync } from 'node:fs';
import { systemClock } from '../../../shared/base/clock.js';
import { formatCount } from '../../../shared/survey/quantities.js';
import { percent, printNote, rewriteLine } from './print.js';

const TERMINAL_MILLIS = 500;
const OTHER_MILLIS = 10_000;

export interface ReadingProgress {
  /** @param octets read so far */
  readonly onRead: (octets: number) => void;
  end(): void;
}

/** @param path undefined for stdin */
export function readingProgress(
  reader: { readonly file: string; readonly line: number },
  path: string | undefined,
): ReadingProgress {
  const { isTTY } = process.stderr;
  const interval = isTTY ? TERMINAL_MILLIS : OTHER_MILLIS;
  const total = path === undefined ? undefined : sizeOf(path);
  let shownAt = systemClock.monotonic();
  let isShown = false;
  return {
    onRead: (octets) => {
      const now = systemClock.monotonic();
      if (now - shownAt < interval) return;
      shownAt = now;
      const share = total === undefined ? '' : `, ${percent(octets, total)}`;
      const text = `reading ${reader.file}: ${formatCount(reader.line)} lines${share}`;
      if (isTTY) rewriteLine(text);
      else printNote(text);
      isShown = true;
    },
    end: () => {
      if (isShown && isTTY) rewriteLine('');
    },
  };
}

/** Undefined for pipes and devices. */
function sizeOf(file: string): number | undefined {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats?.isFile() ? stats.size : undefined;
}
