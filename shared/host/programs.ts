/**
 * Finds programs, even in folders that are not in PATH, because PATH is minimal under cron, and the PATH of
 * an ordinary user lacks /sbin and /usr/sbin.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { FaultCode } from '../base/exit-codes.js';
import { Fault } from '../base/faults.js';

/** Searched after PATH. */
const FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/**
 * The path of a program.
 * @param remedy what to do if it is missing
 * @throws Fault with the code `code`; its message names the program and the folders searched
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
