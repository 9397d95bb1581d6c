import { describe, expect, test } from 'vitest';
import { OUTCOME } from '../../agent/interfaces.js';
import { CooldownTracker } from '../../agent/lease/cooldown-tracker.js';
import { ShardReplies } from '../../agent/replies/shard-replies.js';
import type { Position } from '../../shared/base/brand.js';
import { Dissection } from '../../shared/packet/dissect.js';
import { UNSENT } from '../../shared/survey/unsent.js';
import { CODE, TCP_SYN_SET } from '../support/tcp-syn-set.js';

const SHARD = { number: 2, from: 512 as Position, to: 768 as Position };

/** An empty frame: tests set the class of the reply themselves. */
const dissection = new Dissection(new DataView(new ArrayBuffer(64)));

function add(results: ShardReplies, position: number, code: number, timestamp = 1): number {
  const reply = { position, code, isSuccess: false, content: dissection, roundTrip: -1 };
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
    const results = new ShardReplies(SHARD, 512, TCP_SYN_SET.classNames);
    expect(add(results, 600, CODE.ICMP)).toBe(OUTCOME.NEW);
    expect(add(results, 600, CODE.ICMP)).toBe(OUTCOME.DUPLICATE);
    expect(add(results, 600, CODE.RST)).toBe(OUTCOME.NEW);
    expect(add(results, 600, CODE.SYNACK)).toBe(OUTCOME.NEW);
    expect(add(results, 600, CODE.RST)).toBe(OUTCOME.DUPLICATE);
    results.settle(768);
    expect(results.counts).toMatchObject({ replies: { synack: 1 } });
  });

  test('count settled positions, which no later reply changes', () => {
    const results = new ShardReplies(SHARD, 520, TCP_SYN_SET.classNames);
    expect(add(results, 519, CODE.SYNACK)).toBe(OUTCOME.LATE);
    add(results, 520, CODE.RST);
    add(results, 700, CODE.SYNACK);
    results.settle(600);
    expect(results.counts).toMatchObject({ replies: { rst: 1 } });
    expect(add(results, 520, CODE.SYNACK)).toBe(OUTCOME.LATE);
    expect(add(results, 599, CODE.SYNACK)).toBe(OUTCOME.LATE);
    results.settle(768);
    expect(results.counts).toMatchObject({ replies: { synack: 1, rst: 1 } });
  });

  test('number their batches, and produce no empty one', () => {
    const results = new ShardReplies(SHARD, 512, TCP_SYN_SET.classNames);
    expect(results.takeBatch(100)).toBeUndefined();
    add(results, 513, CODE.SYNACK, 1_000_000);
    add(results, 514, CODE.RST, 1_000_250);
    const first = results.takeBatch(100);
    expect(first).toMatchObject({ serial: 0, timestamp: 1_000_000 });
    expect(first?.columns).toMatchObject({ offset: [1, 2], timestampDelta: [0, 250] });
    add(results, 515, CODE.RST, 2_000_000);
    expect(results.takeBatch(100)).toMatchObject({ serial: 1, timestamp: 2_000_000 });
    expect(results.batches).toBe(2);
  });

  test('count unsent positions separately from silent ones, unless a reply arrives after all', () => {
    const results = new ShardReplies(SHARD, 512, TCP_SYN_SET.classNames);
    expect(results.addUnsent(600, UNSENT.EXCLUDED, 1)).toBe(true);
    expect(results.addUnsent(601, UNSENT.NO_NEIGHBOUR, 1)).toBe(true);
    expect(add(results, 602, CODE.RST)).toBe(OUTCOME.NEW);
    expect(results.addUnsent(602, UNSENT.BLOCKED, 1)).toBe(false);
    expect(add(results, 601, CODE.SYNACK)).toBe(OUTCOME.NEW); // to another epoch's probe
    results.settle(768);
    expect(results.counts).toMatchObject({
      excluded: 1,
      noNeighbour: 0,
      blocked: 0,
      replies: { synack: 1, rst: 1 },
    });
    expect(results.addUnsent(700, UNSENT.EXCLUDED, 1)).toBe(false); // settled
  });

  test('do not let a reply without a row replace the row that says "unsent"', () => {
    const results = new ShardReplies(SHARD, 512, TCP_SYN_SET.classNames);
    results.addUnsent(600, UNSENT.EXCLUDED, 1);
    const rst = {
      position: 600,
      code: CODE.RST,
      isSuccess: false,
      content: dissection,
      roundTrip: -1,
    };
    const recording = { timestamp: 2, isRow: false, flags: 0 };
    expect(results.add(rst, recording)).toBe(OUTCOME.LATE);
    results.settle(768);
    expect(results.counts).toMatchObject({ excluded: 1, replies: {} });
  });
});
