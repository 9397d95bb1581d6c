/**
 * Whether interfaces are up and hold our addresses, as they did when a station was opened. While they
 * do not, replies cannot be heard: silence then says nothing about targets.
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Words } from '../../shared/net/endpoint.js';
import { formatWords, isMapped, parseIpv6 } from '../../shared/net/ipv6.js';

export class LinkMonitor {
  readonly #devices: readonly string[];
  readonly #facts: readonly string[];
  readonly #changes: string;

  /** Notes which of these interfaces and addresses there are now. */
  constructor(devices: readonly string[], sources: readonly Words[]) {
    this.#devices = devices;
    this.#changes = this.#changesNow();
    const wanted = new Set([...devices, ...sources.map(formatWords)]);
    this.#facts = [...factsNow()].filter((fact) => fact.split(' ').every((w) => wanted.has(w)));
  }

  /** Whether all that was noted still holds. */
  isUp(): boolean {
    const now = factsNow();
    return this.#facts.every((fact) => now.has(fact)) && this.#changesNow() === this.#changes;
  }

  /** How often each link came and went: a moment between two looks is not overlooked. */
  #changesNow(): string {
    return this.#devices.map(carrierChanges).join(' ');
  }
}

/** Interfaces that are up and running, alone and with each of their addresses. */
function factsNow(): Set<string> {
  const facts = new Set<string>();
  for (const [device, entries = []] of Object.entries(networkInterfaces())) {
    facts.add(device);
    for (const { address, family } of entries) facts.add(`${device} ${canonical(address, family)}`);
  }
  return facts;
}

/** The kernel's count (ABI/testing/sysfs-class-net); empty where it cannot be seen. */
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
