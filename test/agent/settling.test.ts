import { describe, expect, test } from 'vitest';
import { SettleTrack } from '../../agent/lease/settling.js';
import { NOTED, Notebook } from '../../agent/report/notebook.js';
import type { Position } from '../../shared/base/brand.js';
import { CLASSIFICATION } from '../../shared/probe/classification.js';
import { UNSENT } from '../../shared/survey/unsent.js';

const SHARD = { number: 2, from: 512 as Position, to: 768 as Position };

describe('settling', () => {
  test('follows sending by the reply window, never ahead of it', () => {
    const track = new SettleTrack(512);
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
    const notebook = new Notebook(SHARD, 512);
    expect(notebook.note(600, CLASSIFICATION.ICMP)).toBe(NOTED.NEW);
    expect(notebook.note(600, CLASSIFICATION.ICMP)).toBe(NOTED.REPEATED);
    expect(notebook.note(600, CLASSIFICATION.RST)).toBe(NOTED.NEW);
    expect(notebook.note(600, CLASSIFICATION.SYNACK)).toBe(NOTED.NEW);
    expect(notebook.note(600, CLASSIFICATION.RST)).toBe(NOTED.REPEATED);
    notebook.close(768);
    expect(notebook.counts).toMatchObject({ synack: 1, rst: 0, icmp: 0 });
  });

  test('counts what has settled, and lets no later reply change it', () => {
    const notebook = new Notebook(SHARD, 520);
    expect(notebook.note(519, CLASSIFICATION.SYNACK)).toBe(NOTED.LATE);
    notebook.note(520, CLASSIFICATION.RST);
    notebook.note(700, CLASSIFICATION.SYNACK);
    notebook.close(600);
    expect(notebook.counts).toMatchObject({ synack: 0, rst: 1, icmp: 0 });
    expect(notebook.note(520, CLASSIFICATION.SYNACK)).toBe(NOTED.LATE);
    expect(notebook.note(599, CLASSIFICATION.SYNACK)).toBe(NOTED.LATE);
    notebook.close(768);
    expect(notebook.counts).toMatchObject({ synack: 1, rst: 1, icmp: 0 });
  });

  test('numbers its batches, and makes none of nothing', () => {
    const notebook = new Notebook(SHARD, 512);
    expect(notebook.takeBatch(100)).toBeUndefined();
    notebook.beginRow(513, CLASSIFICATION.SYNACK, 1_000_000);
    notebook.beginRow(514, CLASSIFICATION.RST, 1_000_250);
    const first = notebook.takeBatch(100);
    expect(first).toMatchObject({ serial: 0, timestamp: 1_000_000 });
    expect(first?.columns).toMatchObject({ offset: [1, 2], timestampDelta: [0, 250] });
    notebook.beginRow(515, CLASSIFICATION.RST, 2_000_000);
    expect(notebook.takeBatch(100)).toMatchObject({ serial: 1, timestamp: 2_000_000 });
    expect(notebook.batches).toBe(2);
  });

  test('counts what was passed by apart from silence, unless it answered after all', () => {
    const notebook = new Notebook(SHARD, 512);
    expect(notebook.noteUnsent(600, UNSENT.EXCLUDED)).toBe(true);
    expect(notebook.noteUnsent(601, UNSENT.NO_NEIGHBOUR)).toBe(true);
    expect(notebook.note(602, CLASSIFICATION.RST)).toBe(NOTED.NEW);
    expect(notebook.noteUnsent(602, UNSENT.BLOCKED)).toBe(false);
    expect(notebook.note(601, CLASSIFICATION.SYNACK)).toBe(NOTED.NEW); // another epoch asked
    notebook.close(768);
    expect(notebook.counts).toMatchObject({
      excluded: 1,
      noNeighbour: 0,
      blocked: 0,
      synack: 1,
      rst: 1,
    });
    expect(notebook.noteUnsent(700, UNSENT.EXCLUDED)).toBe(false); // settled
  });
});
