/** Property tests of the copies of a data folder, with disks and a log that fail at any call. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isReplicated } from '../../coordinator/data-folder.js';
import { Replica } from '../../coordinator/replication/replica.js';
import type { FolderSecret } from '../../coordinator/replication/replica-mark.js';
import type { Clock } from '../../shared/base/clock.js';
import { systemClock } from '../../shared/base/clock.js';
import { Fault } from '../../shared/base/faults.js';
import { MemoryReplication } from '../../shared/bus/memory/memory-replication.js';
import type { FileChange, ReplicationLog } from '../../shared/bus/replication-log.js';
import { type Disk, systemDisk } from '../../shared/host/disk.js';
import { silentLog } from '../../shared/telemetry/log.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { prng } from '../support/prng.js';

const DATA = '/data';
const JOURNAL = `${DATA}/s1/journal.ndjson`;
const SEGMENTS = [0, 1, 2].map((n) => `${DATA}/s1/segments/00000000${n}.ndjson`);
const SECRET: FolderSecret = { fingerprint: async () => 'f', make: async () => 'f' };

class Host {
  readonly disk = new MemoryDisk();
  readonly replica: Replica;

  constructor(replication: ReplicationLog, secret = SECRET, clock: Clock = systemClock) {
    const deps = { replication, disk: this.disk, clock, log: silentLog };
    this.replica = new Replica({ data: DATA, isReplicated, secret }, deps);
  }

  /** The replicated files, by path. */
  get content(): Record<string, string> {
    const files = [...this.disk.files].filter(([file]) =>
      isReplicated(file.slice(DATA.length + 1)),
    );
    return Object.fromEntries(files.map(([file, content]) => [file, content.toString()]).sort());
  }

  async copied(): Promise<this> {
    await this.replica.catchUp();
    return this;
  }
}

/** A log whose appends fail, before or after a part of the changes is stored. */
class FailingLog extends MemoryReplication {
  failing: 'never' | 'none' | 'half' = 'never';

  override async append(changes: readonly FileChange[], after: number) {
    if (this.failing === 'never') return await super.append(changes, after);
    const count = this.failing === 'none' ? 0 : Math.floor(changes.length / 2);
    const { last, fault } = await super.append(changes.slice(0, count), after);
    return { last, fault: fault ?? new Fault('UNWRITABLE', 'no room') };
  }
}

/** Writes, appends and removes at random; what was not rejected counts. @returns the expected journal lines */
async function work(
  disk: Disk,
  host: Host,
  log: FailingLog,
  roll: () => number,
): Promise<string[]> {
  const draw = (most: number) => Math.floor(roll() * most);
  const journal: string[] = [];
  for (let i = 0; i < 60; i++) {
    host.disk.isFull = draw(6) === 0;
    log.failing = draw(6) > 0 ? 'never' : draw(2) === 0 ? 'none' : 'half';
    const segment = SEGMENTS[draw(SEGMENTS.length)] as string;
    const jobs = [
      async () => {
        await disk.append(JOURNAL, `line ${i}\n`);
        journal.push(`line ${i}`);
      },
      () => disk.writeWhole(segment, ['x'.repeat(draw(1_200_000)), `${i}`]),
      () => disk.makeWhole(segment, (beside) => host.disk.writeWhole(beside, [`made ${i}`])),
      () => disk.remove(segment),
    ];
    const at = [draw(4), draw(4)].map((kind) => jobs[kind] as () => Promise<void>);
    await Promise.allSettled(at.map((job) => job()));
  }
  host.disk.isFull = false;
  log.failing = 'never';
  return journal;
}

describe('a replicated data folder', () => {
  test('has the same files on all hosts, whatever fails meanwhile (200 cases)', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const roll = prng(seed);
      const log = new FailingLog();
      const leader = new Host(log);
      const standby = new Host(log);
      let lines: string[] = [];
      await leader.replica.lead(1, async (disk) => {
        lines = await work(disk, leader, log, roll);
        await disk.append(JOURNAL, 'end\n');
        for (const segment of SEGMENTS) await disk.writeWhole(segment, ['end']);
      });
      const late = await new Host(log).copied();
      await standby.copied();
      expect(late.content, `seed ${seed}`).toEqual(leader.content);
      expect(standby.content, `seed ${seed}`).toEqual(leader.content);
      const stored = (leader.content[JOURNAL] ?? '').split('\n');
      for (const line of lines) expect(stored, `seed ${seed}`).toContain(line);
    }
  });

  test('continues on another host where the first one stopped, and refuses what the first one still writes', async () => {
    const log = new MemoryReplication();
    const first = new Host(log);
    const second = new Host(log);
    await first.replica.lead(1, async (disk) => {
      await disk.append(JOURNAL, 'a\n');
      await second.replica.lead(2, async (other) => {
        expect(second.content).toEqual({ [JOURNAL]: 'a\n' });
        await other.append(JOURNAL, 'b\n');
        await expect(disk.append(JOURNAL, 'late\n')).rejects.toThrow('taken over');
        await expect(disk.writeWhole(SEGMENTS[0]!, ['late'])).rejects.toThrow('taken over');
      });
    });
    expect(second.content).toEqual({ [JOURNAL]: 'a\nb\n' });
    await first.copied();
    expect(first.content).toEqual(second.content);
  });

  test('is made again from where the notes of a host end, if the host crashes at any change', async () => {
    for (let crashAt = 0; crashAt < 12; crashAt++) {
      const log = new MemoryReplication();
      const leader = new Host(log);
      const standby = new Host(log);
      let last = 0;
      await leader.replica.lead(1, async (disk) => {
        for (let i = 0; i < 4; i++) {
          await disk.append(JOURNAL, `${i}\n`);
          await disk.writeWhole(SEGMENTS[i % 3]!, [`${i}`]);
          if (i === 1) await standby.copied();
        }
      });
      ({ last } = await log.state());
      let writes = 0;
      const { writeWhole, append } = standby.disk;
      const crash =
        <Given extends unknown[]>(work: (...given: Given) => Promise<void>) =>
        async (...given: Given) => {
          if (++writes > crashAt) throw new Fault('UNWRITABLE', 'crashed');
          await work.apply(standby.disk, given);
        };
      Object.assign(standby.disk, { writeWhole: crash(writeWhole), append: crash(append) });
      await standby.replica.catchUp().catch(() => {});
      const restarted = new Host(log);
      for (const [file, content] of standby.disk.files) restarted.disk.files.set(file, content);
      await restarted.copied();
      expect(restarted.content, `crash at write ${crashAt} of ${last}`).toEqual(leader.content);
    }
  });

  test('repairs lines of which a crash has written a part', async () => {
    const log = new MemoryReplication();
    const leader = new Host(log);
    await leader.replica.lead(1, async (disk) => {
      await disk.append(JOURNAL, 'first\n');
      await disk.append(JOURNAL, 'second\n');
    });
    const standby = new Host(log);
    standby.disk.files.set(
      `${DATA}/.replica`,
      Buffer.from('{"log":"memory","last":3,"isOrigin":false,"isComplete":true}'),
    );
    standby.disk.files.set(JOURNAL, Buffer.from('first\nsec'));
    await standby.copied();
    expect(standby.content).toEqual({ [JOURNAL]: 'first\nsecond\n' });
  });

  test('is copied whole to a log that has nothing, if it has files before', async () => {
    const log = new MemoryReplication();
    const leader = new Host(log);
    leader.disk.files.set(JOURNAL, Buffer.from('old\n'));
    leader.disk.files.set(`${DATA}/exclusions.ndjson`, Buffer.from('{}\n'));
    leader.disk.files.set(`${DATA}/.cookie-secret`, Buffer.from('secret'));
    leader.disk.files.set(`${DATA}/notes.txt`, Buffer.from('private'));
    await leader.replica.lead(1, (disk) => disk.append(JOURNAL, 'new\n'));
    const standby = await new Host(log).copied();
    expect(standby.content).toEqual({
      [`${DATA}/exclusions.ndjson`]: '{}\n',
      [JOURNAL]: 'old\nnew\n',
    });
    expect([...standby.disk.files.keys()]).not.toContain(`${DATA}/.cookie-secret`);
    expect([...standby.disk.files.keys()]).not.toContain(`${DATA}/notes.txt`);
  });

  test('is refused if it has files of its own and the log has others', async () => {
    const log = new MemoryReplication();
    await new Host(log).replica.lead(1, (disk) => disk.append(JOURNAL, 'a\n'));
    const other = new Host(log);
    other.disk.files.set(`${DATA}/exclusions.ndjson`, Buffer.from('{}\n'));
    await expect(other.replica.catchUp()).rejects.toThrow('begins with an empty folder');
  });

  test('is refused without the secret of the coordinator that leads, or with another one', async () => {
    const log = new MemoryReplication();
    await new Host(log).replica.lead(1, (disk) => disk.append(JOURNAL, 'a\n'));
    const withSecret = (fingerprint: string | undefined) =>
      new Host(log, { ...SECRET, fingerprint: async () => fingerprint });
    await expect(withSecret(undefined).replica.catchUp()).rejects.toThrow('lacks the secret');
    const other = withSecret('other');
    await expect(other.replica.catchUp()).rejects.toThrow('another secret');
    await expect(other.replica.catchUp()).rejects.toThrow('another secret'); // not only once
    expect(other.content).toEqual({});
  });

  test('ignores changes of files that no data folder has', async () => {
    const log = new MemoryReplication();
    const data = Buffer.from('evil');
    const paths = ['../evil', '/etc/passwd', '.cookie-secret', 's1/../../evil', 's1/segments/../x'];
    const evil = paths.map(
      (path): FileChange => ({ kind: 'write', path, offset: 0, size: 4, data, term: 1 }),
    );
    await log.append(evil, 0);
    const standby = await new Host(log).copied();
    expect([...standby.disk.files.keys()]).toEqual([`${DATA}/.replica`]);
  });

  test('has a file of several parts after its disk was full when the last one came', async () => {
    const log = new MemoryReplication();
    const [leader, standby] = [new Host(log), new Host(log)];
    const content = 'x'.repeat(1_200_000);
    await leader.replica.lead(1, (disk) => disk.writeWhole(SEGMENTS[0]!, [content]));
    standby.disk.isFull = true;
    await expect(standby.replica.catchUp()).rejects.toThrow('no space');
    standby.disk.isFull = false;
    await standby.copied();
    expect(standby.content).toEqual(leader.content);
  });

  test('is copied whole although the first attempt failed, and nobody else leads before', async () => {
    const log = new FailingLog();
    const leader = new Host(log);
    for (const file of [...SEGMENTS, JOURNAL]) leader.disk.files.set(file, Buffer.from('row\n'));
    const append = log.append.bind(log);
    let appends = 0;
    log.append = async (changes, after) => {
      const fault = new Fault('UNWRITABLE', 'no room');
      return ++appends > 2 ? { last: after, fault } : await append(changes, after);
    };
    await expect(leader.replica.lead(1, async () => {})).rejects.toThrow('no room');
    log.append = append;
    const early = new Host(log);
    await expect(early.replica.lead(2, async () => {})).rejects.toThrow('not have all copies yet');
    const restarted = new Host(log);
    for (const [file, content] of leader.disk.files) restarted.disk.files.set(file, content);
    await restarted.replica.lead(3, async () => {});
    expect((await new Host(log).copied()).content).toEqual(leader.content);
  });

  test('has each line once although it is read while lines are appended', async () => {
    const log = new MemoryReplication();
    const data = await mkdtemp(join(tmpdir(), 'transect-replica-'));
    const file = join(data, 's1/journal.ndjson');
    const deps = { replication: log, disk: systemDisk, clock: systemClock, log: silentLog };
    const replica = new Replica({ data, isReplicated, secret: SECRET }, deps);
    await replica.lead(1, async (disk) => {
      let isOver = false;
      const reading = (async () => {
        while (!isOver) for await (const _line of disk.lines(file));
      })();
      for (let i = 0; i < 200; i++) await disk.append(file, `${i}\n`);
      isOver = true;
      await reading;
    });
    const lines = (await systemDisk.read(file))?.toString().trim().split('\n');
    expect(lines).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`));
    await rm(data, { recursive: true });
  });

  test('continues after a line that a crash has torn, the same on all hosts, also after a replay', async () => {
    const log = new MemoryReplication();
    const [leader, standby] = [new Host(log), new Host(log)];
    leader.disk.files.set(JOURNAL, Buffer.from('whole\ntorn'));
    await leader.replica.lead(1, async (disk) => {
      await standby.copied();
      await disk.append(JOURNAL, 'next\n');
      await standby.copied();
      const replayed = new Host(log);
      for (const [file, content] of standby.disk.files) replayed.disk.files.set(file, content);
      const { log: name } = JSON.parse(`${standby.disk.files.get(`${DATA}/.replica`)}`) as {
        log: string;
      };
      const mark = { log: name, last: 3, isOrigin: false, isComplete: true };
      replayed.disk.files.set(`${DATA}/.replica`, Buffer.from(JSON.stringify(mark)));
      await disk.append(JOURNAL, 'last\n');
      await replayed.copied();
      await standby.copied();
      expect(replayed.content).toEqual(leader.content);
    });
    expect(leader.content).toEqual({ [JOURNAL]: 'whole\ntorn\nnext\nlast\n' });
    expect(standby.content).toEqual(leader.content);
  });

  test('counts a line that is in the log and could not be appended here: it is there before the file is read', async () => {
    const log = new MemoryReplication();
    const leader = new Host(log);
    await leader.replica.lead(1, async (disk) => {
      await disk.append(JOURNAL, 'a\n');
      leader.disk.isFull = true;
      await disk.append(JOURNAL, 'b\n');
      await expect(disk.append(JOURNAL, 'c\n')).rejects.toThrow('no space');
      leader.disk.isFull = false;
      expect(await disk.size(JOURNAL)).toBe(4);
      await disk.append(JOURNAL, 'd\n');
    });
    expect(leader.content).toEqual({ [JOURNAL]: 'a\nb\nd\n' });
    expect((await new Host(log).copied()).content).toEqual(leader.content);
  });

  test('keeps what a new leader has stored although the one before removes the file later', async () => {
    const log = new MemoryReplication();
    const [first, second] = [new Host(log), new Host(log)];
    const [segment] = SEGMENTS as [string];
    await first.replica.lead(1, async (disk) => {
      await disk.writeWhole(segment, ['of an attempt']);
      await second.replica.lead(2, async (other) => {
        await other.remove(segment);
        await other.writeWhole(segment, ['counts']);
      });
      await disk.remove(segment);
    });
    expect((await new Host(log).copied()).content).toEqual({ [segment]: 'counts' });
  });

  test('is not replaced by the copies of a broker that has lost its log, of which another folder is the first', async () => {
    class Broker extends MemoryReplication {
      id = 'one';
      override async state() {
        return { ...(await super.state()), id: this.id };
      }
    }
    const [before, after] = [new Broker(), new Broker()];
    after.id = 'two';
    const old = new Host(before);
    await old.replica.lead(1, (disk) => disk.append(`${DATA}/exclusions.ndjson`, 'opt-out 1\n'));
    const { content } = old;
    const fresh = new Host(after);
    await fresh.replica.lead(2, (disk) => disk.append(`${DATA}/exclusions.ndjson`, 'opt-out 2\n'));
    const restarted = new Host(after);
    for (const [file, octets] of old.disk.files) restarted.disk.files.set(file, octets);
    await expect(restarted.replica.catchUp()).rejects.toThrow('is not replaced');
    expect(restarted.content).toEqual(content);
    // Started first on the empty broker, it is the one whose files are copied.
    const empty = new Broker();
    empty.id = 'three';
    const first = new Host(empty);
    for (const [file, octets] of old.disk.files) first.disk.files.set(file, octets);
    await first.replica.lead(3, async () => {});
    expect((await new Host(empty).copied()).content).toEqual(content);
  });
});
