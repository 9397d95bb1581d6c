/** The contract of every replication log. Each test gets a log of its own. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  FileChange,
  NumberedChange,
  ReplicationLog,
} from '../../shared/bus/replication-log.js';

export interface LogUnderTest {
  /** The same log, as two coordinators see it. */
  open(): Promise<{
    readonly leader: ReplicationLog;
    readonly standby: ReplicationLog;
    close(): Promise<void>;
  }>;
}

const line = (path: string, offset: number, text: string, term = 1): FileChange => {
  const data = Buffer.from(text);
  return { kind: 'append', path, offset, size: offset + data.length, data, term };
};
const lines = (count: number, from = 0, term = 1) =>
  Array.from({ length: count }, (_, i) => line('s1/journal.ndjson', i + from, '\n', term));
const large = (path: string, offset: number, size: number): FileChange => ({
  ...{ kind: 'write', path, offset, size, term: 1 },
  data: new Uint8Array(512 * 1024).fill(offset & 255),
});

async function all(log: ReplicationLog, after = 0): Promise<NumberedChange[]> {
  const found: NumberedChange[] = [];
  for await (const { number, change } of log.read(after))
    found.push({ number, change: { ...change, data: Buffer.from(change.data) } });
  return found;
}

export function replicationContract(name: string, make: LogUnderTest): void {
  describe(`a ${name} replication log`, () => {
    let leader: ReplicationLog;
    let standby: ReplicationLog;
    let close: () => Promise<void>;

    beforeEach(async () => {
      ({ leader, standby, close } = await make.open());
    });
    afterEach(() => close());

    test('is empty at first', async () => {
      expect((await standby.state()).last).toBe(0);
      expect(await all(standby)).toEqual([]);
    });

    test('keeps changes in the order in which they were appended, and numbers them', async () => {
      const changes = [line('s1/journal.ndjson', 0, 'a\n'), line('audit.ndjson', 7, 'b\n')];
      expect(await leader.append(changes, 0)).toEqual({ last: 2, fault: undefined });
      expect(await leader.append([line('audit.ndjson', 9, 'c\n')], 2)).toMatchObject({ last: 3 });
      const found = await all(standby);
      expect(found.map(({ number }) => number)).toEqual([1, 2, 3]);
      expect(found.map(({ change }) => [change.path, change.offset, `${change.data}`])).toEqual([
        ['s1/journal.ndjson', 0, 'a\n'],
        ['audit.ndjson', 7, 'b\n'],
        ['audit.ndjson', 9, 'c\n'],
      ]);
      expect((await all(standby, 2)).map(({ number }) => number)).toEqual([3]);
      expect((await standby.state()).last).toBe(3);
    });

    test('stores hundreds of changes of one append without gaps', async () => {
      const changes = lines(700);
      expect(await leader.append(changes, 0)).toEqual({ last: 700, fault: undefined });
      const found = await all(standby);
      expect(found.map(({ change }) => change.offset)).toEqual(changes.map(({ offset }) => offset));
    });

    test('refuses an append after somebody else has appended, and says so', async () => {
      await leader.append(lines(1), 0);
      expect(await standby.append(lines(1, 1, 2), 1)).toMatchObject({ last: 2 });
      const refused = await leader.append(lines(2, 1), 1);
      expect(refused.last).toBe(1);
      expect(refused.fault?.code).toBe('DEPOSED');
      expect((await all(standby)).map(({ change }) => change.term)).toEqual([1, 2]);
    });

    test('lets one of two win that append at the same time', async () => {
      const results = await Promise.all([
        leader.append(lines(20, 0, 1), 0),
        standby.append(lines(20, 0, 2), 0),
      ]);
      expect(results.filter(({ fault }) => fault === undefined)).toHaveLength(1);
      expect(results.filter(({ fault }) => fault?.code === 'DEPOSED')).toHaveLength(1);
      const terms = (await all(standby)).map(({ change }) => change.term);
      expect(terms).toEqual(new Array(20).fill(results[0]?.fault === undefined ? 1 : 2));
    });

    test('recognises changes that it has already, because the answer was lost', async () => {
      await leader.append(lines(3), 0);
      expect(await leader.append(lines(5), 0)).toEqual({ last: 5, fault: undefined });
      expect(await all(standby)).toHaveLength(5);
    });

    test('forgets the changes of a file, or those before a number, and no others', async () => {
      const other = line('s1/survey.json', 0, '{}');
      await leader.append([...lines(2), other, ...lines(2, 2)], 0);
      await leader.forget('s1/journal.ndjson', 4);
      expect((await all(standby)).map(({ number }) => number)).toEqual([3, 4, 5]);
      await leader.forget('s1/journal.ndjson');
      expect((await all(standby)).map(({ number }) => number)).toEqual([3]);
      expect((await standby.state()).last).toBe(5);
      expect(await leader.append(lines(1, 4), 5)).toMatchObject({ last: 6, fault: undefined });
      expect((await all(standby, 3)).map(({ number }) => number)).toEqual([6]);
    });

    test('forgets nothing before the first change', async () => {
      await leader.append(lines(2), 0);
      await leader.forget('s1/journal.ndjson', 1);
      await leader.forget('s1/journal.ndjson', 0);
      expect((await all(standby)).map(({ number }) => number)).toEqual([1, 2]);
    });

    test('is read to its end, although its last changes were forgotten', async () => {
      await leader.append([line('audit.ndjson', 0, 'a\n'), ...lines(3)], 0);
      await leader.forget('s1/journal.ndjson');
      expect((await all(standby)).map(({ number }) => number)).toEqual([1]);
      expect(await all(standby, 1)).toEqual([]);
    });

    test('is read whole while changes of other files are forgotten', async () => {
      const others = Array.from({ length: 300 }, (_, i) => line(`s2/segments/${i}`, 0, '\n'));
      const changes = lines(300).flatMap((change, i) => [change, others[i] as FileChange]);
      await leader.append(changes, 0);
      const read: number[] = [];
      for await (const { change } of standby.read(0)) {
        if (change.path !== 's1/journal.ndjson') continue;
        read.push(change.offset);
        // As a leader does that writes a file again: a later change of the same file is left.
        if (read.length % 50 === 0) {
          const other = others[read.length - 1] as FileChange;
          const { last } = await leader.state();
          await leader.append([other], last);
          await leader.forget(other.path, last + 1);
        }
      }
      expect(read).toEqual(Array.from({ length: 300 }, (_, i) => i));
    });

    test('carries files of many megabytes in parts', async () => {
      const size = 40 * 512 * 1024;
      const parts = Array.from({ length: 40 }, (_, i) => large('s1/space.bin', i * 524_288, size));
      expect(await leader.append(parts, 0)).toEqual({ last: 40, fault: undefined });
      const found = await all(standby);
      expect(found.map(({ change }) => change.data.length)).toEqual(new Array(40).fill(524_288));
    });
  });
}
