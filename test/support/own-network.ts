/**
 * Moves this process into a network namespace of its own, which has no uplink, contains only the interfaces
 * created here, and ends with the process. Each test file is a process, so no other test is affected.
 */
import { execFileSync } from 'node:child_process';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

/** The reason why a network namespace is not available; undefined if it is. */
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
