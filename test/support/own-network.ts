/**
 * Moves this process into a network namespace of its own: no interfaces but those made here, no way
 * out, and gone with the process. Each test file is a process, so nothing else is moved.
 */
import { execFileSync } from 'node:child_process';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

/** Why it cannot be had, or undefined where it can. */
export function networkIsMissing(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'network namespaces need root';
}

export function enterOwnNetwork(): void {
  const unshare = koffi.load(null).func('int unshare(int flags)');
  if ((unshare(CLONE_NEWNET) as number) !== 0) throw new Error('unshare failed');
  ip('link', 'set', 'lo', 'up');
}

export function ip(...args: string[]): void {
  execFileSync('ip', args);
}
