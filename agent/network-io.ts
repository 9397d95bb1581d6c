/** Opens the network I/O of an agent for a survey on the real network: egress plan, senders, captures. */
import type { Clock } from '../shared/base/clock.js';
import { LIMITS } from '../shared/base/limits.js';
import { programFile } from '../shared/base/program-files.js';
import type { TransmitMethod } from '../shared/command/network-options.js';
import { hasNetRaw, requireNetRaw } from '../shared/host/capability.js';
import { Ranges } from '../shared/net/ranges.js';
import { Ranges6 } from '../shared/net/ranges6.js';
import { ProbeSet } from '../shared/probe/probe-set.js';
import { readListFile } from '../shared/survey/lists/list-file.js';
import { RuleList, RuleListReader } from '../shared/survey/lists/rule-list.js';
import type { Plan } from '../shared/survey/plan.js';
import { addressLists } from '../shared/survey/policy/address-lists.js';
import { rulesToBytes } from '../shared/survey/policy/block-rules.js';
import { Blocklist } from '../shared/survey/policy/blocklist.js';
import {
  blockedSpecialIpv4,
  blockedSpecialIpv6,
} from '../shared/survey/policy/special-purpose-policy.js';
import { hashSpace } from '../shared/survey/space/space-bytes.js';
import type { Survey } from '../shared/survey/survey.js';
import { Captures } from './capture/captures.js';
import { openConnectIo } from './direct/connect-io.js';
import { openNeighbourIo } from './direct/neighbour-io.js';
import { type EgressOptions, planEgress } from './egress/egress-plan.js';
import { LinkMonitor } from './egress/link-monitor.js';
import type { Unroutable } from './egress/routes/cut-targets.js';
import { interfacesWith } from './egress/source-address.js';
import type { Capture, NetworkIo, OpenNetworkIo, SourceSetup } from './interfaces.js';
import { hasLinkError } from './send/send-errors.js';
import type { SendFilterLists } from './send/send-filter.js';
import type { SenderSetup } from './send/sender-setup.js';
import { startSenders } from './send/threads/senders.js';
import { ThreadPool } from './send/threads/thread-pool.js';

const SCRIPT = programFile('agent/sender-worker.js');

export interface NetworkIoOptions extends EgressOptions {
  /** Sending threads per survey. */
  readonly senders: number;
  /** The method that the operator chose; undefined for the fastest. */
  readonly transmit?: TransmitMethod | undefined;
  /** Files of ranges that this agent never probes. */
  readonly blocklists: readonly string[];
  /** Addresses that the policy of this host forbids. */
  readonly forbidden: Blocklist;
}

/** @throws Fault UNREADABLE_FILE or BAD_LIST about this agent's own blocklists */
export async function networkIoOpener(
  options: NetworkIoOptions,
  clock: Clock,
): Promise<OpenNetworkIo> {
  const own = await readBlocklists(options.blocklists);
  const listening = new Captures();
  const threads = new ThreadPool(SCRIPT);
  if (hasNetRaw()) threads.prepare(options.senders);
  return async (survey: Survey, plan: Plan, space: Uint8Array): Promise<NetworkIo> => {
    const { kind } = new ProbeSet(survey.probes);
    if (kind !== 'packet') {
      const openDirectIo = kind === 'connection' ? openConnectIo : openNeighbourIo;
      const rules = ownRules(own, []);
      const rulesHash = rules === undefined ? '' : hashSpace(rules);
      const blocked = blockedFor(survey, own, options.forbidden);
      return openDirectIo(survey, plan, { ...options, blocked }, clock, { rules, rulesHash });
    }
    requireNetRaw();
    const found = await planEgress(plan.space, options, clock);
    const { routes, origin, unroutable, notes } = found;
    const sendingDevices = routes.map(({ device }) => device);
    const devices = [...new Set([...sendingDevices, ...interfacesWith(origin.sources)])];
    const linkMonitor = new LinkMonitor(devices, origin.sources);
    // Captures start before the first probe is sent.
    const filters = new ProbeSet(survey.probes).packets.map(({ probe }) =>
      probe.captureFilter(origin),
    );
    const filter = [...new Set(filters)].join(' or ');
    const { usual, fast, fastPps } = LIMITS.captureOctets;
    const bufferOctets = survey.rate > fastPps ? fast : usual;
    const captures = openCaptures(listening, devices, { filter, vlan: options.vlan, bufferOctets });
    const setup: Omit<SenderSetup, 'slowed'> = {
      space,
      seed: survey.seed,
      shardLength: survey.shardLength,
      targets: plan.size,
      probes: survey.probes,
      routes,
      coversAll: unroutable.length === 0,
      ports: origin.ports,
      transmit: options.transmit,
      blocked: blockedFor(survey, own, options.forbidden),
    };
    try {
      // If a sender fails, the agent stops: other agents settle its shards.
      const onDeath = (reason: Error) => {
        throw reason;
      };
      const rules = ownRules(own, unroutable);
      const rulesHash = rules === undefined ? '' : hashSpace(rules);
      const sender = await startSenders(threads, setup, options.senders, onDeath);
      const isUp = () =>
        linkMonitor.isUp() &&
        captures.every(({ isAlive }) => isAlive) &&
        !hasLinkError(sender.totals.sendErrors);
      return { ports: origin.ports, captures, sender, isUp, notes, rules, rulesHash };
    } catch (error) {
      for (const capture of captures) capture.close();
      throw error;
    }
  };
}

function blockedFor(
  { allowSpecial }: Survey,
  own: readonly RuleList[],
  forbidden: Blocklist,
): SendFilterLists {
  const { ipv4, ipv6 } = Blocklist.of(own);
  const blocked = blockedSpecialIpv4(allowSpecial).union(ipv4).union(forbidden.ipv4);
  const blocked6 = blockedSpecialIpv6(allowSpecial).union(ipv6).union(forbidden.ipv6);
  return {
    version: 0,
    excluded: addressLists(Ranges.none, Ranges6.none),
    own: addressLists(blocked, blocked6),
  };
}

/** The agent's own blocklist rules, so that a lookup can name them; undefined if there are none. */
function ownRules(
  own: readonly RuleList[],
  unroutable: readonly Unroutable[],
): Uint8Array | undefined {
  if (own.length === 0 && unroutable.length === 0) return undefined;
  const byReason = new Map<string, RuleList>();
  for (const { text, reason } of unroutable) {
    const list = byReason.get(reason) ?? new RuleList({ flag: reason });
    byReason.set(reason, list);
    list.addText(text, 0);
  }
  return rulesToBytes([...own, ...byReason.values()], []);
}

function openCaptures(
  listening: Captures,
  devices: readonly string[],
  wanted: Omit<SourceSetup, 'device'>,
): Capture[] {
  const captures: Capture[] = [];
  try {
    for (const device of devices) captures.push(listening.open({ device, ...wanted }));
    return captures;
  } catch (error) {
    for (const capture of captures) capture.close();
    throw error;
  }
}

async function readBlocklists(files: readonly string[]): Promise<readonly RuleList[]> {
  return await Promise.all(
    files.map(async (file) => {
      const reader = new RuleListReader(file);
      await readListFile(reader, file, '--blocklist-file');
      return reader.list;
    }),
  );
}
