/** Checks whether this process may use raw sockets. */
import { readFileSync } from 'node:fs';
import { Fault } from '../base/faults.js';

/** capabilities(7) */
const CAP_NET_RAW = 13n;

/** True if this process may use raw sockets. */
export function hasNetRaw(): boolean {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_NET_RAW) & 1n) === 1n;
}

/** @throws Fault NO_CAP_NET_RAW */
export function requireNetRaw(): void {
  if (hasNetRaw()) return;
  const reason =
    'raw sockets are not permitted: run as root (sudo) or with the capability CAP_NET_RAW, or choose --probe ' +
    'tcp-connect, which needs neither';
  throw new Fault('NO_CAP_NET_RAW', reason);
}
