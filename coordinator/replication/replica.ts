/**
 * This host's copy of the data folder, made from the replication log. While another coordinator leads, `follow`
 * makes each of its changes here; `lead` makes the last ones, and fences the coordinator before.
 *
 *     DATA/.replica     the name of the log, and the number of the last change that was made here
 *
 * A change may be made twice after a crash, so making it again changes nothing.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import type { FileChange, ReplicationLog } from '../../shared/bus/replication-log.js';
import type { Disk } from '../../shared/host/disk.js';
import type { Log } from '../../shared/telemetry/log.js';
import { appendAt } from './append-at.js';
import { localFiles } from './local-files.js';
import { ReplicatedDisk } from './replicated-disk.js';

const MARK_FILE = '.replica';
const FOLLOW_MILLIS = 500;
const MARK_MILLIS = 1000;

const markShape = z.object({ log: z.string(), last: z.number().int().min(0) });

export interface ReplicaOptions {
  /** The data folder. */
  readonly data: string;
  /** True of a path within the data folder that is replicated. */
  readonly isReplicated: (path: string) => boolean;
  /** The secret of the data folder, which is not replicated. */
  readonly secret: FolderSecret;
}

/** A secret that all copies of a data folder must have. */
export interface FolderSecret {
  /** Undefined if the folder has none yet. */
  fingerprint(): Promise<string | undefined>;
  /** Makes one, if there is none. @returns its fingerprint */
  make(): Promise<string>;
}

export interface ReplicaDeps {
  readonly replication: ReplicationLog;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
}

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #deps: ReplicaDeps;
  /** The name of the log; undefined before it is known. */
  #log: string | undefined;
  /** The numbers of the last change that was read, and of the last one that was made here. */
  #read = 0;
  #made = 0;
  /** The parts of a file of which not all have been read. */
  #parts: FileChange[] = [];
  #isLeading = false;
  #markedAt = Number.NEGATIVE_INFINITY;
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: ReplicaOptions, deps: ReplicaDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /**
   * Makes the changes that the log has now.
   * @throws Fault BAD_OPTION if the data folder is not a copy of the one that the log is about, or lacks its secret
   */
  catchUp(): Promise<void> {
    const done = this.#working.then(() => this.#catchUp());
    this.#working = done.catch(() => {});
    return done;
  }

  /**
   * Makes each change of the leader here, until the signal aborts.
   * @throws Fault BAD_OPTION as `catchUp`
   */
  async follow(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    let problem = '';
    while (!signal.aborted) {
      try {
        await this.catchUp();
        problem = '';
      } catch (error) {
        if (error instanceof Fault && error.code === 'BAD_OPTION') throw error;
        if (problem !== describeError(error)) {
          problem = describeError(error);
          log.error(
            { error: problem },
            'cannot copy what the leading coordinator stores; retrying',
          );
        }
      }
      await clock.sleep(FOLLOW_MILLIS, signal);
    }
  }

  /**
   * Makes the last changes of the coordinator before, and fences it. If the log is new, copies all files to it.
   * @param work leads; it writes to the disk that it is given
   */
  async lead(term: number, work: (disk: Disk) => Promise<void>): Promise<void> {
    const disk = await this.#begin(term);
    this.#deps.log.info(
      { data: this.#options.data },
      'replicating; a standby needs a copy of the file .cookie-secret',
    );
    this.#isLeading = true;
    try {
      await work(disk);
    } finally {
      this.#isLeading = false;
      this.#read = this.#made; // what another coordinator has stored meanwhile counts
    }
  }

  async #begin(term: number): Promise<ReplicatedDisk> {
    const { replication } = this.#deps;
    for (;;) {
      const { last: before } = await replication.state();
      await this.catchUp();
      const data = Buffer.from(await this.#options.secret.make());
      const begin: FileChange = { kind: 'begin', path: '', offset: 0, size: 0, data, term };
      const { last, fault } = await replication.append([begin], before);
      if (fault?.code === 'DEPOSED') continue; // the coordinator before has written meanwhile
      if (fault !== undefined) throw fault;
      void replication.forget('', last).catch(() => {}); // the next one will
      await this.#mark(last);
      const disk = this.#diskAfter(last, term);
      if (before === 0) await this.#copyAll(disk);
      return disk;
    }
  }

  #diskAfter(last: number, term: number): ReplicatedDisk {
    const { data, isReplicated } = this.#options;
    const onMade = (number: number) => this.#onMade(number);
    return new ReplicatedDisk({ data, isReplicated, term, last, onMade }, this.#deps);
  }

  async #copyAll(disk: ReplicatedDisk): Promise<void> {
    const { data, isReplicated } = this.#options;
    const files = await localFiles(this.#deps.disk, data, isReplicated);
    if (files.length > 0) this.#deps.log.info({ files: files.length }, 'copying the data folder');
    for (const path of files) await disk.copy(join(data, path));
  }

  async #catchUp(): Promise<void> {
    if (this.#isLeading) return; // then the changes in the log are ours
    const { replication } = this.#deps;
    const { id, last } = await replication.state();
    if (this.#log === undefined) await this.#open(id, last);
    if (id !== this.#log) {
      // The broker has lost its log, and another coordinator has begun a new one.
      this.#log = id;
      this.#read = 0;
      this.#made = 0;
    }
    if (last <= this.#read) return;
    for await (const { number, change } of replication.read(this.#read)) {
      await this.#make(change);
      this.#read = number;
      if (this.#parts.length === 0) await this.#onMade(number);
    }
  }

  /** @throws Fault BAD_OPTION or UNREADABLE_FILE */
  async #open(id: string, last: number): Promise<void> {
    const { disk } = this.#deps;
    const { data, isReplicated } = this.#options;
    const mark = await readMark(disk, data);
    if (mark === undefined && last > 0) {
      const own = await localFiles(disk, data, isReplicated);
      if (own.length > 0) {
        const reason =
          `the broker has copies of another data folder, and this one has files of its own (${own[0]}); a ` +
          'coordinator that joins with --replicate begins with an empty folder';
        throw new Fault('BAD_OPTION', reason, { flag: '--data', value: data });
      }
    }
    if (mark?.log === id && mark.last <= last) this.#made = mark.last;
    this.#read = this.#made;
    this.#log = id;
  }

  async #make(change: FileChange): Promise<void> {
    const { data, isReplicated } = this.#options;
    const { disk, log } = this.#deps;
    const { kind, path } = change;
    if (kind !== 'write') this.#parts = []; // the writer of the file died
    if (kind === 'begin') await this.#refuseOtherSecret(Buffer.from(change.data).toString());
    else if (!isReplicated(path)) log.warn({ path }, 'ignored a copy of an unknown file');
    else if (kind === 'append') await appendAt(disk, join(data, path), change);
    else await this.#write(change);
  }

  /** Rows cannot be checked with another secret than the one with which their probes were sent. */
  async #refuseOtherSecret(leaders: string): Promise<void> {
    const own = await this.#options.secret.fingerprint();
    if (own === leaders) return;
    const what = own === undefined ? 'lacks the secret' : 'has another secret than that';
    const reason =
      `the data folder ${what} of the coordinator that leads: copy the file .cookie-secret from its data ` +
      'folder to this one, by a way that nobody can read';
    throw new Fault('BAD_OPTION', reason, { flag: '--data', value: this.#options.data });
  }

  async #write(part: FileChange): Promise<void> {
    const { path, offset, size } = part;
    if (offset === 0) this.#parts = [];
    const octets = this.#parts.reduce((sum, { data }) => sum + data.length, 0);
    const isNext = this.#parts.every((each) => each.path === path && each.size === size);
    if (offset !== octets || !isNext) {
      this.#parts = [];
      return;
    }
    this.#parts.push(part);
    if (octets + part.data.length < size) return;
    const content = this.#parts.map(({ data }) => data);
    await this.#deps.disk.writeWhole(join(this.#options.data, path), content);
    this.#parts = [];
  }

  async #onMade(number: number): Promise<void> {
    this.#made = number;
    if (this.#deps.clock.monotonic() - this.#markedAt >= MARK_MILLIS) await this.#mark(number);
  }

  async #mark(last: number): Promise<void> {
    const { disk, clock, log } = this.#deps;
    this.#made = last;
    this.#read = Math.max(this.#read, last);
    this.#markedAt = clock.monotonic();
    const mark = `${JSON.stringify({ log: this.#log, last })}
`;
    try {
      await disk.writeWhole(join(this.#options.data, MARK_FILE), [mark]);
    } catch (error) {
      // Changes will be made again.
      log.warn({ error: describeError(error) }, 'cannot note which copies were made');
    }
  }
}

/**
 * Refuses a data folder that is replicated: what is stored without `--replicate` would be missing in all copies.
 * @throws Fault BAD_OPTION
 */
export async function refuseReplica(disk: Disk, data: string): Promise<void> {
  const file = join(data, MARK_FILE);
  if ((await disk.size(file)) === 0) return;
  const reason =
    'the data folder is replicated: start the coordinator with --replicate, or, to end the replication for good, ' +
    `remove ${file} and the stream FILES of the broker`;
  throw new Fault('BAD_OPTION', reason, { flag: '--data', value: data });
}

async function readMark(disk: Disk, data: string) {
  const file = join(data, MARK_FILE);
  const text = (await disk.read(file, 1024))?.toString();
  if (text === undefined) return undefined;
  try {
    return markShape.parse(JSON.parse(text));
  } catch (cause) {
    const reason = 'the file does not say which log is replicated: remove it to copy all again';
    throw new Fault('UNREADABLE_FILE', reason, { file }, cause);
  }
}
