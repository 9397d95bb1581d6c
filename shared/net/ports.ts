/** Ports: `80,443,8000-8100`, `*` for all, `!22` to exclude some; each from 1 to 65535. */
import type { Brand } from '../base/brand.js';
import { Fault } from '../base/faults.js';

/**
 * A port together with its probe, as a space stores them: index of the probe × 65536 + port. The port is 0 if
 * the probe has none.
 */
export type ProbePort = Brand<number, 'ProbePort'>;

const PORTS = 65536;

export function probePort(probe: number, port: number): ProbePort {
  return (probe * PORTS + port) as ProbePort;
}
export function portIn(probePort: number): number {
  return probePort & 0xffff;
}
export function probeIn(probePort: number): number {
  return probePort >>> 16;
}

/** Source ports: [from, to). */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

const PORT_MAX = 65535;

/**
 * Reads a comma-separated list of ports, which are those of a survey's first probe. The result is sorted and
 * has no duplicates. Exclusions win, wherever they are in the list; a list of exclusions alone starts from
 * all ports.
 * @throws Fault BAD_OPTION naming the item
 */
export function parsePorts(text: string): readonly ProbePort[] {
  const chosen = new Uint8Array(PORT_MAX + 1);
  const items = text.split(',').map((item) => item.trim());
  const exclusions = items.filter((item) => item.startsWith('!'));
  const inclusions = items.filter((item) => !item.startsWith('!'));
  for (const item of inclusions.length === 0 ? ['*'] : inclusions) {
    const { from, last } = parseItem(item);
    chosen.fill(1, from, last + 1);
  }
  for (const item of exclusions) {
    const { from, last } = parseItem(item.slice(1));
    chosen.fill(0, from, last + 1);
  }
  const ports: number[] = [];
  for (let port = 1; port <= PORT_MAX; port++) if (chosen[port] === 1) ports.push(port);
  if (ports.length === 0) throw new Fault('BAD_OPTION', 'no port is left', { value: text });
  return ports as ProbePort[];
}

/** Writes a sorted list in its shortest form: `80,443,8000-8100`. */
export function formatPorts(ports: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const port of ports) {
    const run = runs.at(-1);
    if (run !== undefined && port === run[1] + 1) run[1] = port;
    else runs.push([port, port]);
  }
  return runs.map(([from, last]) => (from === last ? `${from}` : `${from}-${last}`)).join(',');
}

function parseItem(item: string): { from: number; last: number } {
  if (item === '*') return { from: 1, last: PORT_MAX };
  const match = /^(\d+)(?:-(\d+))?$/.exec(item);
  const from = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || from < 1 || last > PORT_MAX || last < from) {
    const reason = `a port is a number from 1 to ${PORT_MAX}, a range is first-last, * is all`;
    throw new Fault('BAD_OPTION', reason, { value: item });
  }
  return { from, last };
}
