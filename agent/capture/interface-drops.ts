/**
 * Packet loss at the interface: packets dropped before any capture received them
 * (ABI/testing/sysfs-class-net-statistics).
 */
import { readFileSync } from 'node:fs';

const COUNTERS = ['rx_missed_errors', 'rx_fifo_errors'] as const;

/** Packets dropped since the interface was created; 0 if that cannot be read. */
export function interfaceDrops(device: string): number {
  let drops = 0;
  for (const counter of COUNTERS) {
    try {
      drops += Number(readFileSync(`/sys/class/net/${device}/statistics/${counter}`, 'utf8'));
    } catch {
      // No such interface, or no sysfs of this network namespace.
    }
  }
  return drops;
}
