/** Ports: `80,443,8000-8100`, each from 1 to 65535, as a sorted list without doubles. */
import type { Brand } from '../base/brand.js';
import { Fault } from '../base/faults.js';

/** 1 … 65535. */
export type Port = Brand<number, 'Port'>;

const PORT_MAX = 65535;

/** Reads a comma-separated list of ports and ranges. @throws Fault BAD_OPTION naming the item. */
export function parsePorts(text: string): readonly Port[] {
  const chosen = new Set<number>();
  for (const item of text.split(',')) {
    const { from, last } = parseItem(item.trim());
    for (let port = from; port <= last; port++) chosen.add(port);
  }
  return [...chosen].sort((a, b) => a - b) as Port[];
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
  const match = /^(\d+)(?:-(\d+))?$/.exec(item);
  const from = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || from < 1 || last > PORT_MAX || last < from) {
    const why = `a port is a number from 1 to ${PORT_MAX}, a range is first-last`;
    throw new Fault('BAD_OPTION', why, { value: item });
  }
  return { from, last };
}
