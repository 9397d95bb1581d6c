/**
 * The senders alone, as an agent runs them: node our-sender.js DEVICE METHOD SENDERS RATE SECONDS PROBE. Prints
 * the transmit method and the time that a stop takes.
 */

import type { SenderSetup } from '../../agent/send/sender-setup.js';
import { startSenders } from '../../agent/send/threads/senders.js';
import { ThreadPool } from '../../agent/send/threads/thread-pool.js';
import { monotonicMillis } from '../../shared/base/clock.js';
import { programFile } from '../../shared/base/program-files.js';
import type { TransmitMethod } from '../../shared/command/network-options.js';
import { mappedWords } from '../../shared/net/ipv6.js';
import { type ProbePort, parsePorts } from '../../shared/net/ports.js';
import { parseRange } from '../../shared/net/prefix.js';
import { Ranges } from '../../shared/net/ranges.js';
import { Ranges6 } from '../../shared/net/ranges6.js';
import { parseMac } from '../../shared/packet/ethernet.js';
import { parseOptions } from '../../shared/probe/probe-options.js';
import { probeNamed } from '../../shared/probe/probe-registry.js';
import { Plan, shardLengthFor } from '../../shared/survey/plan.js';
import { addressLists } from '../../shared/survey/policy/address-lists.js';
import { Space } from '../../shared/survey/space/space.js';
import { spaceToBytes } from '../../shared/survey/space/space-bytes.js';
import { pause, SINK } from './network.js';

const [device = SINK.device, transmit = 'af-xdp', senders = '1', rate = '0', seconds = '5', name] =
  process.argv.slice(2);
const UNLIMITED = 1e9;
const { from, to } = Ranges.of([parseRange('100.64.0.0/10')]);
const probe = probeNamed(name ?? 'tcp-syn');
const ports = probe.hasPorts ? parsePorts('1-64') : ([0] as ProbePort[]);
const options = probe.optionsForPort?.(53, parseOptions(probe, {})) ?? parseOptions(probe, {});
const space = Space.ofIpv4(Ranges.fromSorted(from, to), ports);
const plan = new Plan(space, '7', shardLengthFor(space.size, 1e6));
const mac = (text: string) => parseMac(text) ?? new Uint8Array(6);
const key = Uint8Array.from({ length: 16 }, (_, i) => i);
const setup: Omit<SenderSetup, 'slowed'> = {
  space: spaceToBytes(space, '7'),
  seed: '7',
  shardLength: plan.shardLength,
  targets: plan.size,
  probes: [{ name: probe.name, options }],
  routes: [
    {
      family: 4,
      device,
      sources: [mappedWords(0x64400001)],
      destinations: { family: 4, from, to },
      nextHop: { source: mac(SINK.source), gateway: mac(SINK.gateway) },
    },
  ],
  coversAll: true,
  ports: { from: 61000, to: 65096 },
  transmit: transmit as TransmitMethod,
  blocked: {
    version: 0,
    excluded: addressLists(Ranges.none, Ranges6.none),
    own: addressLists(Ranges.none, Ranges6.none),
  },
};

const script = programFile('agent/sender-worker.js');
const sender = await startSenders(new ThreadPool(script), setup, Number(senders), (error) => {
  throw error;
});
// A space without ports is small: it is probed again and again, so that the sender always has work.
const passes = probe.hasPorts ? 1 : 64;
const sendings = Array.from({ length: passes }, () => sender.send(0, space.size, { key }));
const granted = Number(rate) || UNLIMITED;
const until = monotonicMillis() + Number(seconds) * 1000 + 2000;
sender.grant(granted, until, 0);
await pause(Number(seconds) * 1000);
const asked = monotonicMillis();
for (const sending of sendings) sending.abandon();
while (!sendings.every(({ hasEnded }) => hasEnded)) await new Promise(setImmediate);
console.log(JSON.stringify({ transmit: sender.transmit, stopMillis: monotonicMillis() - asked }));
await sender.close();
