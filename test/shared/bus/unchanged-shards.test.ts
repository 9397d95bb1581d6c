import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PROTOCOL } from '../../../shared/base/version.js';
import { agentRequestCodec } from '../../../shared/bus/agent-messages.js';
import type { Activity, Heartbeat, ShardReport } from '../../../shared/bus/heartbeat.js';
import { noneUnsent } from '../../../shared/survey/unsent.js';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const progress = fc.integer({ min: 1, max: 1000 }).map((sent) => ({
  ...{ sentUpTo: sent, settledUpTo: sent - 1, probesSent: sent, batches: 0, replies: {} },
  ...{ versionSpans: [], ...noneUnsent() },
}));
const report: fc.Arbitrary<ShardReport> = fc.record({
  shard: u32,
  epoch: u32,
  state: fc.constantFrom('held' as const, 'held' as const, 'settled' as const),
  progress: fc.option(progress, { nil: undefined }),
  icmpLimited: fc.constantFrom([], [], ['192.0.2.1']),
  slowedNetworks: fc.constantFrom([], [], ['198.51.100.0/24']),
});

function heartbeatWith(shards: readonly ShardReport[]): Heartbeat {
  const ioStats = { transmit: '', framesReceived: 0, framesDropped: 0, interfaceDropped: 0 };
  const activity: Activity = {
    ...{ survey: 's1', hasWork: true, rate: 0, probesSent: 0, ceiling: 0, grantSerial: 0 },
    ...{ replies: 0, otherPort: 0, otherAddress: 0, exclusionsVersion: 0, rulesHash: '' },
    ...{ ioStats: { ...ioStats, sendErrors: {} }, wanted: 0, shards },
  };
  return {
    ...{ vantage: 'v', version: '1', protocol: PROTOCOL, session: 's', sentAt: 1, invalid: 0 },
    ...{
      state: 'working',
      problem: '',
      problemCode: '',
      wantsSignature: false,
      known: [],
      activities: [activity],
    },
  };
}
const held = (shard: number): ShardReport => ({
  ...{ shard, epoch: 1, state: 'held', progress: undefined, icmpLimited: [], slowedNetworks: [] },
});
const encode = (shards: readonly ShardReport[]) =>
  agentRequestCodec.encode({ heartbeat: heartbeatWith(shards) });
const decode = (bytes: Uint8Array) =>
  agentRequestCodec.decode(bytes).heartbeat?.activities[0]?.shards ?? [];

describe('the reports of a heartbeat', () => {
  test('are the same after they were sent, with and without news', () => {
    const byShard = (one: ShardReport, other: ShardReport) => one.shard - other.shard;
    const distinct = fc.uniqueArray(report, { selector: ({ shard }) => shard, maxLength: 40 });
    fc.assert(
      fc.property(distinct, (reports) => {
        expect([...decode(encode(reports))].sort(byShard)).toEqual([...reports].sort(byShard));
      }),
    );
  });

  test('take few octets for a shard without news', () => {
    const many = Array.from({ length: 500 }, (_, i) => held(1_000_000 + i));
    expect((encode(many).length - encode([]).length) / many.length).toBeLessThan(5);
  });

  test('are rejected if they are more than an agent may hold', () => {
    const most = Array.from({ length: 512 }, (_, i) => held(i));
    expect(decode(encode(most))).toHaveLength(512);
    expect(() => decode(encode([...most, held(512)]))).toThrow(/malformed/);
  });

  test('are rejected if a shard has no epoch', () => {
    const bytes = Buffer.from(encode([held(77)]));
    const packed = Buffer.from([0x7a, 2, 77, 1]); // field 15, two octets: shard 77, epoch 1
    const at = bytes.indexOf(packed);
    expect(at).toBeGreaterThan(0);
    const odd = Buffer.from(bytes);
    odd.set([0x7a, 2, 0xcd, 0x01], at); // one number of two octets
    expect(() => decode(odd)).toThrow(/malformed/);
  });
});
