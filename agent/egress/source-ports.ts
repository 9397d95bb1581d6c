/** Chooses source ports that the host's own connections never use. */
import { readFile } from 'node:fs/promises';
import { Fault } from '../../shared/base/faults.js';
import type { PortRange } from '../../shared/net/ports.js';

const PORT_RANGE_FILE = '/proc/sys/net/ipv4/ip_local_port_range';
/** Enough ports to spread probes, few enough for a narrow capture filter. */
const SOURCE_PORTS_MAX = 4096;
const SOURCE_PORTS_ENOUGH = 256;
const SOURCE_PORT_MIN = 1024;

/**
 * Ports that the host's own connections never use: above the kernel's ephemeral range if there is room, else
 * right below it, away from the well-known ports of services.
 */
export async function freePorts(): Promise<PortRange> {
  const text = await readFile(PORT_RANGE_FILE, 'utf8');
  const [first = 32768, last = 60999] = text.trim().split(/\s+/).map(Number);
  const above = 65536 - (last + 1);
  if (above >= SOURCE_PORTS_ENOUGH) {
    return { from: last + 1, to: last + 1 + Math.min(above, SOURCE_PORTS_MAX) };
  }
  const below = first - SOURCE_PORT_MIN;
  if (below > 0) return { from: first - Math.min(below, SOURCE_PORTS_MAX), to: first };
  if (above > 0) return { from: last + 1, to: 65536 };
  const reason = 'the host uses all ports for its own connections; name some with --source-port';
  throw new Fault('NO_ROUTE', reason, { file: PORT_RANGE_FILE });
}
