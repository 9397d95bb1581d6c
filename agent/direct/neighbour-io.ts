/** Opens the network I/O of a survey whose probes are requests to neighbours: a packet socket for each link. */
import type { Clock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { requireNetRaw } from '../../shared/host/capability.js';
import type { Words } from '../../shared/net/endpoint.js';
import { isMapped } from '../../shared/net/ipv6.js';
import type { MacAddress } from '../../shared/packet/ethernet.js';
import type { Family } from '../../shared/probe/probe.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import type { Plan } from '../../shared/survey/plan.js';
import type { Survey } from '../../shared/survey/survey.js';
import { type EgressOptions, hardwareAddressOf } from '../egress/egress-plan.js';
import { NeighbourRequests } from '../egress/neighbour-requests.js';
import { Router } from '../egress/router.js';
import type { RouteSlice } from '../egress/routes/cut-targets.js';
import { slicesOf } from '../egress/routes/route-slices.js';
import { sourceTowards } from '../egress/source-address.js';
import type { NetworkIo } from '../interfaces.js';
import type { SendFilterLists } from '../send/send-filter.js';
import { directIo } from './direct-io.js';
import { type NeighbourLink, NeighbourSender } from './neighbour-sender.js';

/** A part of the targets that is on a link of this host, and our addresses there. */
interface OnLink extends RouteSlice {
  readonly source: Words;
  readonly mac: MacAddress;
}

/** @throws Fault NO_CAP_NET_RAW, or NO_ROUTE if no target is on a link of this host */
export async function openNeighbourIo(
  survey: Survey,
  plan: Plan,
  options: EgressOptions & { readonly blocked: SendFilterLists },
  clock: Clock,
  rules: Pick<NetworkIo, 'rules' | 'rulesHash'>,
): Promise<NetworkIo> {
  requireNetRaw();
  const { device, sources = [] } = options;
  const { slices, notes } = await slicesOf(plan.space, { device, sources });
  const onLinks: OnLink[] = [];
  for (const slice of slices) onLinks.push(...(await onLinkOf(slice, options)));
  if (onLinks.length === 0) {
    const reason = 'no target is on a link of this host: arp and nd reach neighbours only';
    throw new Fault('NO_ROUTE', reason, { flag: '--probe' });
  }
  const links: NeighbourLink[] = [];
  try {
    for (const each of onLinks) links.push(linkOf(each, options.vlan));
  } catch (error) {
    for (const link of links) link.close();
    throw error;
  }
  const router = new Router(
    onLinks.map(({ destinations }) => destinations),
    false,
  );
  const probes: Partial<Record<Family, number>> = {};
  for (const { index, probe } of new ProbeSet(survey.probes).all) {
    for (const family of probe.families) probes[family] ??= index;
  }
  const { blocked } = options;
  const sender = new NeighbourSender({ plan, clock, blocked, router, links, probes });
  const isFar = slices.some(({ gateway }) => gateway !== undefined);
  const far = isFar ? ['targets beyond a gateway are not probed: they are no neighbours'] : [];
  return directIo({
    sender,
    devices: onLinks.map((each) => each.device),
    sources: onLinks.map(({ source }) => source),
    notes: [...notes, ...far],
    rules,
  });
}

/** None if the targets are beyond a gateway, or on an interface without Ethernet frames. */
async function onLinkOf(slice: RouteSlice, options: EgressOptions): Promise<readonly OnLink[]> {
  const { device, family, gateway, example } = slice;
  const mac = options.sourceMac ?? (await hardwareAddressOf(device));
  if (gateway !== undefined || mac === undefined) return [];
  const given = options.sources?.find((words) => isMapped(words) === (family === 4));
  return [{ ...slice, mac, source: given ?? (await sourceTowards(example, device)) }];
}

function linkOf({ device, family, source, mac }: OnLink, vlan: number | undefined): NeighbourLink {
  const nextHop = { source: mac, gateway: undefined, vlan };
  const requests = new NeighbourRequests({ device, family, nextHop, sources: [source] });
  return {
    family,
    source,
    request: (target) => requests.send(target),
    read: () => requests.read(),
    close: () => requests.close(),
  };
}
