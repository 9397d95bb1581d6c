/** The coordinator's check of TCP rows against the cookies of their probes: for every probe of the registry. */
import { describe, expect, test } from 'vitest';
import { ShardReplies } from '../../agent/replies/shard-replies.js';
import { batchWithForgedRow } from '../../coordinator/storage/forged-rows.js';
import { ShardRows } from '../../coordinator/storage/shard-rows.js';
import { mappedWords, parseWords } from '../../shared/net/ipv6.js';
import type { ProbePort } from '../../shared/net/ports.js';
import { Ranges } from '../../shared/net/ranges.js';
import { CookieMac, probeKey } from '../../shared/probe/cookies.js';
import type { PacketProbe } from '../../shared/probe/probe.js';
import { parseOptions } from '../../shared/probe/probe-options.js';
import { PROBES } from '../../shared/probe/probe-registry.js';
import { ProbeSet } from '../../shared/probe/probe-set.js';
import { type EpochRecord, emptyEpoch } from '../../shared/survey/lease.js';
import { Plan } from '../../shared/survey/plan.js';
import { FLAG_ERROR, FLAG_TCP, type ResultBatch } from '../../shared/survey/results.js';
import { AddressList } from '../../shared/survey/space/address-list.js';
import { Space } from '../../shared/survey/space/space.js';
import { hostReplyTo } from '../support/reference-host.js';
import { errorTo, KEY, probeOf, read } from '../support/replies.js';

const PORT = 443;
const SOURCE_PORT = 61_000;
const FLOWS = {
  4: { source: mappedWords(0x64400001), address: mappedWords(0xc6120203) },
  6: { source: parseWords('2001:db8::1'), address: parseWords('2001:db8:42::7') },
} as const;
const TCP = PROBES.filter((probe): probe is PacketProbe => {
  return probe.kind === 'packet' && probe.protocol(4) === 6;
});
const CASES = TCP.flatMap((probe) =>
  ([4, 6] as const).flatMap((family) =>
    (['open', 'closed'] as const).map((state) => ({ name: probe.name, probe, family, state })),
  ),
);

/** A plan of one target. */
function planOf(family: 4 | 6): Plan {
  const { address } = FLOWS[family];
  const ipv4 = [{ from: address[3], to: address[3] + 1 }];
  const parts = {
    ipv4: Ranges.of(family === 4 ? ipv4 : []),
    hitlist: AddressList.ofRecords(Uint32Array.from(family === 6 ? address : []), 4),
    ...{ windows: [], ports: [PORT] as ProbePort[], pairs: AddressList.none },
  };
  return new Plan(new Space(parts), '7', 256);
}

/** The row of a packet, as an agent writes it; undefined if the packet is no reply to the probe. */
function batchOf(probe: PacketProbe, family: 4 | 6, packet: Uint8Array): ResultBatch | undefined {
  const views = read(packet);
  const parsed = parseOptions(probe, {});
  const ports = { from: SOURCE_PORT, to: SOURCE_PORT + 1 };
  const reader = probe.replies({ options: parsed, ports, targetPorts: [] });
  if (!reader.validate(views, new CookieMac(probeKey(KEY, 0)))) return undefined;
  const set = new ProbeSet([{ name: probe.name, options: {} }]);
  const code = set.codeOf(probe.classes[reader.classify(views)]?.name ?? '');
  const replies = new ShardReplies(planOf(family).shard(0), 0, set.classNames);
  const reply = { position: 0, code, content: views, roundTrip: -1, isSuccess: true };
  replies.add(reply, { timestamp: 1, isRow: true, flags: 0 });
  const batch = replies.takeBatch(1);
  const head = { survey: 's', shard: 0, epoch: 1, agent: 'a', vantage: 'v' };
  return batch && { ...head, ...batch };
}

/** True if the coordinator stores the row. */
function isStored(probe: PacketProbe, family: 4 | 6, batch: ResultBatch): boolean {
  const plan = planOf(family);
  const rows = new ShardRows(plan.shard(0));
  rows.add(batch, { ...emptyEpoch(0), settledUpTo: 1 } as EpochRecord);
  expect(rows.count).toBe(1);
  const set = new ProbeSet([{ name: probe.name, options: {} }]);
  return batchWithForgedRow(rows, plan, set, () => KEY) === undefined;
}

describe.each(CASES)('a row of $name over IPv$family, of a host whose port is $state', (one) => {
  const { probe, family, state } = one;
  const flow = { ...FLOWS[family], sourcePort: SOURCE_PORT, port: PORT };
  const sent = probeOf(flow, KEY, {}, probe);

  test('is stored if the host has answered the probe, and not with another number or address', () => {
    const reply = hostReplyTo(sent, state);
    const batch = reply && batchOf(probe, family, reply);
    // A host whose port is open is silent to some probes.
    if (batch === undefined) {
      expect(state).toBe('open');
      return;
    }
    expect(isStored(probe, family, batch)).toBe(true);
    const { columns } = batch;
    for (const name of ['source3', 'sourcePort'] as const) {
      const [value = 0] = columns[name];
      const other = { ...batch, columns: { ...columns, [name]: [value ^ 1] } };
      expect(isStored(probe, family, other), name).toBe(false);
    }
    // The class must be that of such a packet.
    const errors = columns.flags.map((flags) => (flags | FLAG_ERROR) & ~FLAG_TCP);
    for (const flags of [errors, [0]])
      expect(isStored(probe, family, { ...batch, columns: { ...columns, flags } })).toBe(false);
    // Both numbers of which one must follow from the cookie.
    const numbers = { sequence: [0x1234], acknowledgment: [0x5678] };
    expect(isStored(probe, family, { ...batch, columns: { ...columns, ...numbers } })).toBe(false);
  });

  test('is stored if a router has reported an error about the probe', () => {
    const batch = batchOf(probe, family, errorTo(sent, { quoted: 8 }));
    expect(batch && isStored(probe, family, batch)).toBe(true);
  });
});

test('the probes that are checked are all TCP probes that are packets', () => {
  expect(TCP.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['tcp-syn', 'tcp-ack', 'tcp-fin', 'tcp-null', 'tcp-xmas', 'tcp-window']),
  );
});
