/**
 * Link monitor: checks that the interfaces are up and still have the addresses that they had when the monitor
 * was created. If not, replies cannot be received, and silence says nothing about targets.
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Words } from '../../shared/net/endpoint.js';
import { formatWords, isMapped, parseIpv6 } from '../../shared/net/ipv6.js';

export class LinkMonitor {
  readonly #devices: readonly string[];
  readonly #facts: readonly string[];
  readonly #changes: string;

  /** Records the present state of these interfaces and addresses. */
  constructor(devices: readonly string[], sources: readonly Words[]) {
    this.#devices = devices;
    this.#changes = this.#changesNow();
    const wanted = new Set([...devices, ...sources.map(formatWords)]);
    this.#facts = [...factsNow()].filter((fact) => fact.split(' ').every((w) => wanted.has(w)));
  }

  /** True while the recorded state still holds. */
  isUp(): boolean {
    const now = factsNow();
    return this.#facts.every((fact) => now.has(fact)) && this.#changesNow() === this.#changes;
  }

  /** Carrier changes of each link, so that a short outage between two checks is noticed. */
  #changesNow(): string {
    return this.#devices.map(carrierChanges).join(' ');
  }
}

/** For each interface that is up and running: its name, and its name with each of its addresses. */
function factsNow(): Set<string> {
  const facts = new Set<string>();
  for (const [device, entries = []] of Object.entries(networkInterfaces())) {
    facts.add(device);
    for (const { address, family } of entries) facts.add(`${device} ${canonical(address, family)}`);
  }
  return facts;
}

/** The kernel's counter (ABI/testing/sysfs-class-net); empty if it cannot be read. */
function carrierChanges(device: string): string {
  try {
    return readFileSync(`/sys/class/net/${device}/carrier_changes`, 'utf8').trim();
  } catch {
    return '';
  }
}

function canonical(address: string, family: string): string {
  if (family === 'IPv4') return address;
  const words = parseIpv6(address.split('%')[0] ?? address);
  return isMapped(words) ? address : formatWords(words);
}
