/** Other programs, by name: PATH is short under cron, and a user's lacks the folders of administrators. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Fault, type FaultCode } from '../base/faults.js';

/** Looked at after those of PATH. */
const FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/**
 * The path of a program.
 * @param remedy what to do where there is none
 * @throws Fault of this code that says what was looked for, and where
 */
export function findProgram(name: string, code: FaultCode, remedy: string): string {
  const given = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const folders = [...new Set([...given, ...FOLDERS])];
  const found = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (found !== undefined) return found;
  throw new Fault(code, `${name} is in none of ${folders.join(', ')}; ${remedy}`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
