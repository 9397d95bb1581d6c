/** Measures the cost of writing a probe and of reading a reply, on one core, without a network. */

import { Egress } from '../agent/egress/egress.js';
import { Router } from '../agent/egress/router.js';
import { type FrameSender, OUTCOME } from '../agent/interfaces.js';
import { ReplyValidator } from '../agent/replies/reply-validator.js';
import { ReplyCounts } from '../agent/replies/shard-matcher.js';
import { SendLoop } from '../agent/send/send-loop.js';
import { SenderControl } from '../agent/send/sender-control.js';
import { SlowGate } from '../agent/send/slow-gate.js';
import { SlowedNetworks } from '../agent/send/slowed-networks.js';
import { monotonicMillis, wallMicros } from '../shared/base/clock.js';
import type { Target } from '../shared/net/endpoint.js';
import { mappedWords, parseWords } from '../shared/net/ipv6.js';
import type { ProbePort } from '../shared/net/ports.js';
import { Ranges } from '../shared/net/ranges.js';
import { Ranges6 } from '../shared/net/ranges6.js';
import { Dissection } from '../shared/packet/dissect.js';
import { Chaskey } from '../shared/probe/chaskey.js';
import { CookieMac, probeKey } from '../shared/probe/cookies.js';
import type { Family, PacketProbe } from '../shared/probe/probe.js';
import { parseOptions } from '../shared/probe/probe-options.js';
import { PROBES } from '../shared/probe/probe-registry.js';
import { type ProbeChoice, ProbeSet, type SurveyProbe } from '../shared/probe/probe-set.js';
import { TagKernel } from '../shared/simd/wasm-kernels.js';
import { Plan, shardLengthFor } from '../shared/survey/plan.js';
import { SPECIAL } from '../shared/survey/policy/special-purpose-registry.js';
import { AddressList } from '../shared/survey/space/address-list.js';
import { parseWindow } from '../shared/survey/space/parse-window.js';
import { Space } from '../shared/survey/space/space.js';
import { KEY, type PlainFlow, probeOf, resetTo, synAckTo } from '../test/support/replies.js';
import { blocking } from '../test/support/send-filters.js';
import { millionsPerSecond, printTable } from './harness.js';

const COUNT = 4_000_000;
const FRAMES = 1024;
const STRIDE = 128;
const ROOM = 256;

/** A frame sender that accepts everything at once, so that only the writing of probes is measured. */
function bottomlessWire(): FrameSender {
  let first = 0;
  return {
    name: 'bottomless',
    view: new DataView(new ArrayBuffer(FRAMES * STRIDE)),
    frames: FRAMES,
    errno: 0,
    packetAt: (frame) => frame * STRIDE + 14,
    room: () => ROOM,
    locate(count, packetAt) {
      for (let i = 0; i < count; i++) packetAt[i] = ((first + i) & (FRAMES - 1)) * STRIDE + 14;
    },
    send(count) {
      first = (first + count) & (FRAMES - 1);
      return count;
    },
    dropFirst() {},
    discard() {},
    close() {},
  };
}

const all = Ranges.of([{ from: 0, to: 2 ** 32 }]).subtract(SPECIAL);
const HTTPS = [443] as ProbePort[];
const none = AddressList.none;
const ipv6 = new Space({
  ipv4: Ranges.none,
  windows: [parseWindow('2001:db8::/32-64@::1', '7')],
  hitlist: none,
  ports: HTTPS,
  pairs: none,
});

function generating(space: Space, family: Family, probe: ProbeChoice) {
  const plan = new Plan(space, '7', shardLengthFor(space.size, 1e6));
  const control = new SenderControl();
  const egress = new Egress({
    frameSender: bottomlessWire(),
    family,
    sources: [family === 4 ? mappedWords(0x64400001) : parseWords('2001:db8::1')],
    ports: { from: 61000, to: 65096 },
    probe: new ProbeSet([probe]).packets[0] as SurveyProbe<PacketProbe>,
  });
  const loop = new SendLoop({
    plan,
    egresses: [egress],
    probeCount: 1,
    router: new Router([
      family === 4
        ? { family, from: all.from, to: all.to }
        : { family, words: Ranges6.of([{ words: [0, 0, 0, 0], length: 0 }]).words },
    ]),
    coversAll: true,
    onUnsent: () => {},
    sendFilter: blocking(SPECIAL),
    slowGate: new SlowGate(new SlowedNetworks(), 1),
    nextFilter: () => undefined,
    senderIndex: { index: 0, count: 1 },
    control,
    nextJob: () => undefined,
    now: monotonicMillis,
    wallMicros,
  });
  control.grant(1e12, Number.POSITIVE_INFINITY, 0);
  let next = 0;
  return (count: number) => {
    control.prepare(0, next);
    loop.send({ slot: 0, from: next, to: next + count, key: KEY });
    next += count;
  };
}

const SYN: ProbeChoice = { name: 'tcp-syn', options: {} };
const generation = (space: Space, family: Family, probe = SYN) =>
  millionsPerSecond(COUNT, generating(space, family, probe)).toFixed(1);

const thousandPorts = Array.from({ length: 1000 }, (_, i) => i + 1) as ProbePort[];
const linux = { name: 'tcp-syn', options: { layout: 'linux' } };
printTable('Probes made in memory, one core: target, filter, cookie, checksums, frame', [
  { what: 'IPv4, default exclusions', 'M/s': generation(Space.ofIpv4(all, HTTPS), 4) },
  { what: 'with 1,000 ports', 'M/s': generation(Space.ofIpv4(all, thousandPorts), 4) },
  { what: 'with Linux’s TCP options', 'M/s': generation(Space.ofIpv4(all, HTTPS), 4, linux) },
  { what: 'IPv6, a window of 2^32 subnets', 'M/s': generation(ipv6, 6) },
]);

/**
 * Makes replies to 1,024 probes of a plan. @returns a function that dissects, validates and classifies them
 * and maps them to positions, over and over
 */
function reading(space: Space, source: PlainFlow['source']) {
  const plan = new Plan(space, '7', shardLengthFor(space.size, 1e6));
  const view = new DataView(new ArrayBuffer(192));
  const bytes = new Uint8Array(view.buffer);
  const survey = { probes: [SYN] };
  const replyCookies = new CookieMac(probeKey(KEY, 0));
  const ports = { from: 61000, to: 65096 };
  const dissection = new Dissection(view);
  const counts = new ReplyCounts();
  const shards = Array.from({ length: plan.shardCount }, (_, shard) => shard);
  const recorder = { onReply: () => OUTCOME.NEW, cookiesOf: () => replyCookies };
  const held = new Map(shards.map((shard) => [shard, recorder]));
  const receiver = new ReplyValidator(plan, survey, ports, dissection, held, counts);
  const replies = Array.from({ length: 1024 }, (_, i) => {
    const target: Target = plan.targetAt(i * 1000);
    const flow = { source, sourcePort: 61000 + i, address: target.words, port: target.port };
    const probe = probeOf(flow);
    return i % 2 === 0 ? synAckTo(probe, [2, 4, 5, 180]) : resetTo(probe);
  });
  return (count: number) => {
    const before = counts.new;
    for (let i = 0; i < count; i++) {
      const reply = replies[i & 1023] as Uint8Array;
      bytes.set(reply);
      dissection.dissect('ip', 0, reply.length);
      receiver.receive(0);
    }
    const missed = count - (counts.new - before);
    if (missed !== 0) throw new Error(`${missed} replies were not validated`);
  };
}

const READS = 1_000_000;
const reads = (space: Space, source: PlainFlow['source']) =>
  millionsPerSecond(READS, reading(space, source)).toFixed(1);
printTable('Replies read in memory, one core: dissect, validate, classify, position and shard', [
  { what: 'IPv4', 'M/s': reads(Space.ofIpv4(all, HTTPS), mappedWords(0x64400001)) },
  { what: 'IPv6', 'M/s': reads(ipv6, parseWords('2001:db8::1')) },
]);

printTable('Other probes made in memory, one core, IPv4', [
  { what: SYN.name, 'M/s': generation(Space.ofIpv4(all, HTTPS), 4) },
  ...PROBES.filter(({ name, kind }) => name !== SYN.name && kind === 'packet').map((probe) => {
    const port = probe.hasPorts ? 53 : 0;
    const options = probe.optionsForPort?.(port, parseOptions(probe, {})) ?? {};
    const space = Space.ofIpv4(all, [port]);
    return { what: probe.name, 'M/s': generation(space, 4, { name: probe.name, options }) };
  }),
]);

const mac = new Chaskey(KEY);
const kernel = new TagKernel(ROOM);
const cookies = new CookieMac(KEY);
const frame = new Dissection(
  new DataView(
    synAckTo(
      probeOf({
        source: mappedWords(1),
        sourcePort: 2,
        address: mappedWords(3),
        port: 4,
      }),
    ).buffer,
  ),
);
let sink = 0;
printTable('Parts of these costs, one core', [
  {
    what: 'cookie of one IPv4 flow (Chaskey-12)',
    'M/s': millionsPerSecond(COUNT, (count) => {
      for (let i = 0; i < count; i++) {
        mac.tag12(i, i * 3, 443);
        sink ^= mac.first;
      }
    }).toFixed(1),
  },
  {
    what: 'cookies of 256 IPv4 flows at once',
    'M/s': millionsPerSecond(COUNT, (count) => {
      for (let i = 0; i < count; i += ROOM) mac.tagMany(kernel, ROOM);
    }).toFixed(1),
  },
  {
    what: 'cookie of one IPv6 flow',
    'M/s': millionsPerSecond(COUNT / 4, (count) => {
      frame.flow.target.setWords(parseWords('2001:db8::1'));
      for (let i = 0; i < count; i++) {
        frame.flow.target.port = i & 0xffff;
        cookies.compute(frame.flow);
        sink ^= cookies.sequence;
      }
    }).toFixed(1),
  },
  {
    what: 'dissecting a SYN-ACK',
    'M/s': millionsPerSecond(COUNT, (count) => {
      for (let i = 0; i < count; i++) sink ^= frame.dissect('ip', 0, 44);
    }).toFixed(1),
  },
]);
if (Number.isNaN(sink)) throw new Error('unreachable');
