import { describe, expect, test } from 'vitest';
import { OUTCOME } from '../../agent/interfaces.js';
import { CooldownTracker } from '../../agent/lease/cooldown-tracker.js';
import { ShardReplies } from '../../agent/replies/shard-replies.js';
import type { Position } from '../../shared/base/brand.js';
import { Dissection } from '../../shared/packet/dissect.js';
import { TcpOptions } from '../../shared/packet/tcp.js';
import { CLASSIFICATION } from '../../shared/probe/classification.js';
import { UNSENT } from '../../shared/survey/unsent.js';

const SHARD = { number: 2, from: 512 as Position, to: 768 as Position };

/** An empty frame: tests set the class of the reply themselves. */
const dissection = new Dissection(new DataView(new ArrayBuffer(64)));

function add(results: ShardReplies, position: number, code: number, timestamp = 1): number {
  const shard = SHARD.number;
  const reply = { position, shard, code, dissection, options: new TcpOptions(), roundTrip: -1 };
  return results.add(reply, { timestamp, isRow: true, flags: 0 });
}

describe('the cooldown tracker', () => {
  test('returns the position up to which probes had been sent at an instant, and never a higher one', () => {
    const tracker = new CooldownTracker(512);
    tracker.observe(1000, 520);
    tracker.observe(1100, 520);
    tracker.observe(1200, 600);
    expect(tracker.sentUpToAt(999)).toBe(512);
    expect(tracker.sentUpToAt(1000)).toBe(520);
    expect(tracker.sentUpToAt(1199)).toBe(520);
    expect(tracker.sentUpToAt(5000)).toBe(600);
    tracker.observe(6000, 600);
    expect(tracker.sentUpToAt(7000)).toBe(600);
  });
});

describe('the results of a shard', () => {
  test('take the first reply to a position, and a later one only if its class ranks higher', () => {
    const results = new ShardReplies(SHARD, 512);
    expect(add(results, 600, CLASSIFICATION.ICMP)).toBe(OUTCOME.NEW);
    expect(add(results, 600, CLASSIFICATION.ICMP)).toBe(OUTCOME.DUPLICATE);
    expect(add(results, 600, CLASSIFICATION.RST)).toBe(OUTCOME.NEW);
    expect(add(results, 600, CLASSIFICATION.SYNACK)).toBe(OUTCOME.NEW);
    expect(add(results, 600, CLASSIFICATION.RST)).toBe(OUTCOME.DUPLICATE);
    results.settle(768);
    expect(results.counts).toMatchObject({ synack: 1, rst: 0, icmp: 0 });
  });

  test('count settled positions, which no later reply changes', () => {
    const results = new ShardReplies(SHARD, 520);
    expect(add(results, 519, CLASSIFICATION.SYNACK)).toBe(OUTCOME.LATE);
    add(results, 520, CLASSIFICATION.RST);
    add(results, 700, CLASSIFICATION.SYNACK);
    results.settle(600);
    expect(results.counts).toMatchObject({ synack: 0, rst: 1, icmp: 0 });
    expect(add(results, 520, CLASSIFICATION.SYNACK)).toBe(OUTCOME.LATE);
    expect(add(results, 599, CLASSIFICATION.SYNACK)).toBe(OUTCOME.LATE);
    results.settle(768);
    expect(results.counts).toMatchObject({ synack: 1, rst: 1, icmp: 0 });
  });

  test('number their batches, and produce no empty one', () => {
    const results = new ShardReplies(SHARD, 512);
    expect(results.takeBatch(100)).toBeUndefined();
    add(results, 513, CLASSIFICATION.SYNACK, 1_000_000);
    add(results, 514, CLASSIFICATION.RST, 1_000_250);
    const first = results.takeBatch(100);
    expect(first).toMatchObject({ serial: 0, timestamp: 1_000_000 });
    expect(first?.columns).toMatchObject({ offset: [1, 2], timestampDelta: [0, 250] });
    add(results, 515, CLASSIFICATION.RST, 2_000_000);
    expect(results.takeBatch(100)).toMatchObject({ serial: 1, timestamp: 2_000_000 });
    expect(results.batches).toBe(2);
  });

  test('count unsent positions separately from silent ones, unless a reply arrives after all', () => {
    const results = new ShardReplies(SHARD, 512);
    expect(results.addUnsent(600, UNSENT.EXCLUDED, 1)).toBe(true);
    expect(results.addUnsent(601, UNSENT.NO_NEIGHBOUR, 1)).toBe(true);
    expect(add(results, 602, CLASSIFICATION.RST)).toBe(OUTCOME.NEW);
    expect(results.addUnsent(602, UNSENT.BLOCKED, 1)).toBe(false);
    expect(add(results, 601, CLASSIFICATION.SYNACK)).toBe(OUTCOME.NEW); // to another epoch's probe
    results.settle(768);
    expect(results.counts).toMatchObject({
      excluded: 1,
      noNeighbour: 0,
      blocked: 0,
      synack: 1,
      rst: 1,
    });
    expect(results.addUnsent(700, UNSENT.EXCLUDED, 1)).toBe(false); // settled
  });

  test('do not let a reply without a row replace the row that says "unsent"', () => {
    const results = new ShardReplies(SHARD, 512);
    results.addUnsent(600, UNSENT.EXCLUDED, 1);
    const shard = SHARD.number;
    const rst = { position: 600, shard, code: CLASSIFICATION.RST, dissection, roundTrip: -1 };
    const recording = { timestamp: 2, isRow: false, flags: 0 };
    expect(results.add({ ...rst, options: new TcpOptions() }, recording)).toBe(OUTCOME.LATE);
    results.settle(768);
    expect(results.counts).toMatchObject({ excluded: 1, rst: 0 });
  });
});
