import { describe, expect, test } from 'vitest';
import { CooldownTracker } from '../../agent/lease/cooldown-tracker.js';
import { RECORDED, ShardResults } from '../../agent/results/shard-results.js';
import type { Position } from '../../shared/base/brand.js';
import { CLASSIFICATION } from '../../shared/probe/classification.js';
import { UNSENT } from '../../shared/survey/unsent.js';

const SHARD = { number: 2, from: 512 as Position, to: 768 as Position };

describe('settling', () => {
  test('follows sending by the reply window, never ahead of it', () => {
    const track = new CooldownTracker(512);
    track.observe(1000, 520);
    track.observe(1100, 520);
    track.observe(1200, 600);
    expect(track.settledAt(999)).toBe(512);
    expect(track.settledAt(1000)).toBe(520);
    expect(track.settledAt(1199)).toBe(520);
    expect(track.settledAt(5000)).toBe(600);
    track.observe(6000, 600);
    expect(track.settledAt(7000)).toBe(600);
  });
});

describe('a notebook', () => {
  test('takes the first reply of a position, and a later one only if it says more', () => {
    const results = new ShardResults(SHARD, 512);
    expect(results.note(600, CLASSIFICATION.ICMP)).toBe(RECORDED.NEW);
    expect(results.note(600, CLASSIFICATION.ICMP)).toBe(RECORDED.REPEATED);
    expect(results.note(600, CLASSIFICATION.RST)).toBe(RECORDED.NEW);
    expect(results.note(600, CLASSIFICATION.SYNACK)).toBe(RECORDED.NEW);
    expect(results.note(600, CLASSIFICATION.RST)).toBe(RECORDED.REPEATED);
    results.close(768);
    expect(results.counts).toMatchObject({ synack: 1, rst: 0, icmp: 0 });
  });

  test('counts what has settled, and lets no later reply change it', () => {
    const results = new ShardResults(SHARD, 520);
    expect(results.note(519, CLASSIFICATION.SYNACK)).toBe(RECORDED.LATE);
    results.note(520, CLASSIFICATION.RST);
    results.note(700, CLASSIFICATION.SYNACK);
    results.close(600);
    expect(results.counts).toMatchObject({ synack: 0, rst: 1, icmp: 0 });
    expect(results.note(520, CLASSIFICATION.SYNACK)).toBe(RECORDED.LATE);
    expect(results.note(599, CLASSIFICATION.SYNACK)).toBe(RECORDED.LATE);
    results.close(768);
    expect(results.counts).toMatchObject({ synack: 1, rst: 1, icmp: 0 });
  });

  test('numbers its batches, and makes none of nothing', () => {
    const results = new ShardResults(SHARD, 512);
    expect(results.takeBatch(100)).toBeUndefined();
    results.beginRow(513, CLASSIFICATION.SYNACK, 1_000_000);
    results.beginRow(514, CLASSIFICATION.RST, 1_000_250);
    const first = results.takeBatch(100);
    expect(first).toMatchObject({ serial: 0, timestamp: 1_000_000 });
    expect(first?.columns).toMatchObject({ offset: [1, 2], timestampDelta: [0, 250] });
    results.beginRow(515, CLASSIFICATION.RST, 2_000_000);
    expect(results.takeBatch(100)).toMatchObject({ serial: 1, timestamp: 2_000_000 });
    expect(results.batches).toBe(2);
  });

  test('counts what was passed by apart from silence, unless it answered after all', () => {
    const results = new ShardResults(SHARD, 512);
    expect(results.noteUnsent(600, UNSENT.EXCLUDED)).toBe(true);
    expect(results.noteUnsent(601, UNSENT.NO_NEIGHBOUR)).toBe(true);
    expect(results.note(602, CLASSIFICATION.RST)).toBe(RECORDED.NEW);
    expect(results.noteUnsent(602, UNSENT.BLOCKED)).toBe(false);
    expect(results.note(601, CLASSIFICATION.SYNACK)).toBe(RECORDED.NEW); // another epoch asked
    results.close(768);
    expect(results.counts).toMatchObject({
      excluded: 1,
      noNeighbour: 0,
      blocked: 0,
      synack: 1,
      rst: 1,
    });
    expect(results.noteUnsent(700, UNSENT.EXCLUDED)).toBe(false); // settled
  });
});
