/** Checks whether this process may use raw sockets. */
import { readFileSync } from 'node:fs';
import { Fault } from '../base/faults.js';

/** capabilities(7) */
const CAP_NET_RAW = 13n;

/** @throws Fault NO_CAP_NET_RAW */
export function requireNetRaw(): void {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  if ((BigInt(`0x${effective}`) >> CAP_NET_RAW) & 1n) return;
  const reason =
    'raw sockets are not permitted: run as root (sudo), or with the capability CAP_NET_RAW';
  throw new Fault('NO_CAP_NET_RAW', reason);
}
