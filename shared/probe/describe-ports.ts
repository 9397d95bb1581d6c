/** The ports of a survey, in their shortest form. */
import { formatPorts, type ProbePort, portIn, probeIn } from '../net/ports.js';
import type { ProbeChoice } from './probe-set.js';

/**
 * `80,443` for a single probe, `tcp-syn:80,udp:53,icmp-echo` for several; the syntax is that of `--ports`.
 */
export function describePorts(ports: readonly ProbePort[], probes: readonly ProbeChoice[]): string {
  const byName = new Map<string, number[]>();
  for (const code of ports) {
    const name = probes[probeIn(code)]?.name ?? '';
    const listed = byName.get(name) ?? [];
    listed.push(portIn(code));
    byName.set(name, listed);
  }
  const names = [...byName].map(([name, listed]) => {
    const runs = formatPorts(listed.sort((a, b) => a - b));
    if (runs === '0') return name;
    return byName.size === 1 ? runs : runs.split(',').map((run) => `${name}:${run}`);
  });
  return names.flat().join(',');
}
