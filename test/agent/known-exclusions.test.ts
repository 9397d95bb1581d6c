import { describe, expect, test } from 'vitest';
import { KnownExclusions } from '../../agent/policy/known-exclusions.js';
import { SeenExclusions } from '../../agent/policy/seen-exclusions.js';
import type { HeartbeatReply } from '../../shared/bus/heartbeat.js';
import type { AgentBus } from '../../shared/bus/interfaces.js';
import { type Exclusion, Exclusions } from '../../shared/survey/policy/exclusions.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';

const ENTRIES: readonly Exclusion[] = [1, 2, 3].map((version) => ({
  ...{ version, prefix: `198.18.${version}.0/24`, lifts: 0, reason: 'mail', by: 'noc', at: 1 },
}));

function listOf(entries: readonly Exclusion[]): Exclusions {
  const list = new Exclusions();
  for (const entry of entries) list.add(entry);
  return list;
}
const replyOf = (list: Exclusions) =>
  ({
    exclusionsVersion: list.version,
    exclusionsHead: list.headAt(list.version),
  }) as HeartbeatReply;

/** An agent's exclusions, which are read from a coordinator that has `theirs`. */
function knownFrom(theirs: { readonly entries: readonly Exclusion[] }, seen?: SeenExclusions) {
  let read = () => {};
  const coordinator = {
    ask: async (_verb: string, { after }: { after: number }) => ({
      exclusions: theirs.entries.slice(after),
    }),
  };
  const bus = { coordinator } as unknown as AgentBus;
  const deps = { bus, log: silentLog, onChange() {}, onRead: () => read(), seen };
  const known = new KnownExclusions(deps);
  const reads = () =>
    new Promise<void>((resolve) => {
      read = resolve;
    });
  return { known, reads };
}

describe('the exclusions of an agent', () => {
  test('grow with those of the coordinator', async () => {
    const theirs: { entries: readonly Exclusion[] } = { entries: ENTRIES.slice(0, 2) };
    const { known, reads } = knownFrom(theirs);
    for (const entries of [ENTRIES.slice(0, 2), ENTRIES]) {
      theirs.entries = entries;
      const reading = reads();
      known.onReply(replyOf(listOf(entries)), known.list.version);
      await reading;
      known.onReply(replyOf(listOf(entries)), known.list.version);
      expect(known.problem).toBe('');
      expect(known.list.entries).toEqual(entries);
    }
  });

  test.each([
    ['replaced', [ENTRIES[0]!, { ...ENTRIES[1]!, prefix: '192.0.2.1/32' }, ENTRIES[2]!]],
    ['given another reason', [ENTRIES[0]!, { ...ENTRIES[1]!, reason: '' }, ENTRIES[2]!]],
    ['removed', ENTRIES.slice(0, 2)],
    ['gone', []],
    [
      'reordered',
      [
        { ...ENTRIES[1]!, version: 1 },
        { ...ENTRIES[0]!, version: 2 },
        { ...ENTRIES[2]!, version: 3 },
      ],
    ],
  ])('are a reason to send nothing if one of them is %s', async (_what, changed) => {
    const { known, reads } = knownFrom({ entries: ENTRIES });
    const reading = reads();
    known.onReply(replyOf(listOf(ENTRIES)), 0);
    await reading;
    known.onReply(replyOf(listOf(changed)), known.list.version);
    expect(known.problem).toContain('nothing is sent');
    known.onReply(replyOf(listOf(ENTRIES)), known.list.version);
    expect(known.problem).toBe('');
  });

  test('are not missed in a reply to a heartbeat that was sent before they were read', async () => {
    const { known, reads } = knownFrom({ entries: ENTRIES });
    const reading = reads();
    known.onReply(replyOf(listOf(ENTRIES)), 0);
    await reading;
    known.onReply(replyOf(listOf(ENTRIES.slice(0, 1))), 0);
    expect(known.problem).toBe('');
  });

  test.each([
    ['the same', ENTRIES, ''],
    ['more', [...ENTRIES, { ...ENTRIES[0]!, version: 4 }], ''],
    ['fewer', ENTRIES.slice(0, 2), 'has 2 exclusions, this agent has 3'],
    ['none', [], 'has 0 exclusions, this agent has 3'],
    [
      'others',
      [ENTRIES[0]!, { ...ENTRIES[1]!, prefix: '192.0.2.1/32' }, ENTRIES[2]!],
      'not those that this host knew (/state/exclusions-a.json); nothing is sent',
    ],
  ])(
    'are remembered by the host: a coordinator that has %s after a restart of both is noticed',
    async (_what, entries, problem) => {
      const disk = new MemoryDisk();
      const open = () => SeenExclusions.open('/state', 'a', disk, silentLog);
      const before = knownFrom({ entries: ENTRIES }, await open());
      const reading = before.reads();
      before.known.onReply(replyOf(listOf(ENTRIES)), 0);
      await reading;
      const { known, reads } = knownFrom({ entries }, await open());
      const again = reads();
      known.onReply(replyOf(listOf(entries)), 0);
      if (entries.length > 0) await again;
      known.onReply(replyOf(listOf(entries)), known.list.version);
      if (problem === '') expect(known.problem).toBe('');
      else expect(known.problem).toContain(problem);
    },
  );

  test('are not forgotten although the disk is full: opt-outs take effect', async () => {
    const disk = new MemoryDisk();
    const open = () => SeenExclusions.open('/state', 'a', disk, silentLog);
    const { known, reads } = knownFrom({ entries: ENTRIES }, await open());
    disk.isFull = true;
    const reading = reads();
    known.onReply(replyOf(listOf(ENTRIES)), 0);
    await reading;
    expect(known.list.version).toBe(3);
    disk.files.clear();
    await expect(open()).rejects.toThrow('no space'); // known at the start, and not with the first opt-out
  });
});
