/**
 * Opens the network I/O of a survey whose probes are connections that the kernel makes: no capture, no raw
 * socket.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import type { Words } from '../../shared/net/endpoint.js';
import { formatWords, isMapped } from '../../shared/net/ipv6.js';
import type { Family } from '../../shared/probe/probe.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Space } from '../../shared/survey/space/space.js';
import type { Survey } from '../../shared/survey/survey.js';
import type { EgressOptions } from '../egress/egress-plan.js';
import { slicesOf } from '../egress/routes/route-slices.js';
import { permanentSource, sourceTowards } from '../egress/source-address.js';
import type { NetworkIo } from '../interfaces.js';
import type { SendFilterLists } from '../send/send-filter.js';
import { ConnectSender, type ConnectSources } from './connect-sender.js';
import { directIo } from './direct-io.js';

/** Connections in progress at once, if the limit of open files allows it. */
const SOCKETS_MAX = 1000;
/** Descriptors that are left for everything else. */
const FILES_KEPT = 100;
/** @throws Fault BAD_OPTION for an agent setting that cannot be applied to connections that the kernel makes */
export async function openConnectIo(
  survey: Survey,
  plan: Plan,
  options: EgressOptions & { readonly blocked: SendFilterLists },
  clock: Clock,
  rules: Pick<NetworkIo, 'rules' | 'rulesHash'>,
): Promise<NetworkIo> {
  refuseLinkSettings(options);
  const { blocked } = options;
  const sources = await sourcesOf(plan.space, options.sources ?? []);
  const routing = { device: undefined, sources: options.sources ?? [] };
  const { slices, notes } = await slicesOf(plan.space, routing);
  const used = await Promise.all(
    slices.map(({ example, device }) => sourceTowards(example, device)),
  );
  const socketsMax = Math.max(1, Math.min(SOCKETS_MAX, openFilesMax() - FILES_KEPT));
  const sender = new ConnectSender({
    plan,
    clock,
    blocked,
    timeout: survey.cooldown,
    socketsMax,
    sources,
  });
  const devices = slices.map(({ device }) => device);
  return directIo({ sender, devices, sources: used, notes, rules });
}

function refuseLinkSettings({
  device,
  gatewayMac,
  sourceMac,
  sourcePorts,
  vlan,
  sourceWindow,
}: EgressOptions): void {
  if (sourceWindow !== undefined) {
    const reason = 'tcp-connect needs a single source address of this host';
    throw new Fault('BAD_OPTION', reason, { flag: '--source-ip' });
  }
  const set = {
    '--interface': device,
    '--gateway-mac': gatewayMac,
    '--source-mac': sourceMac,
    '--source-port': sourcePorts,
    '--vlan': vlan,
  };
  for (const [flag, value] of Object.entries(set)) {
    if (value === undefined) continue;
    const reason = 'tcp-connect leaves routes and ports to the kernel; it follows only --source-ip';
    throw new Fault('BAD_OPTION', reason, { flag });
  }
}

/**
 * The source addresses that the operator has set, and a permanent one where the kernel would choose a temporary
 * one.
 */
async function sourcesOf(space: Space, given: readonly Words[]): Promise<ConnectSources> {
  const sources: { -readonly [family in Family]?: string } = {};
  for (const words of given) sources[isMapped(words) ? 4 : 6] ??= formatWords(words);
  for (const source of Object.values(sources)) await requireOwn(source);
  if (!space.hasIpv6 || sources[6] !== undefined) return sources;
  const permanent = await permanentSource(space.ipv6Example);
  return permanent === undefined ? sources : { ...sources, 6: formatWords(permanent) };
}

/** @throws Fault BAD_OPTION if the kernel does not let us use an address */
async function requireOwn(source: string): Promise<void> {
  const server = createServer();
  try {
    server.listen({ host: source, port: 0 });
    await once(server, 'listening');
  } catch {
    const reason =
      'is not an address of this host; tcp-connect can send only from addresses of this host';
    throw new Fault('BAD_OPTION', reason, { flag: '--source-ip', value: source });
  } finally {
    server.close();
  }
}

function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? SOCKETS_MAX);
}
