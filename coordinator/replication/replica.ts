/**
 * This host's copy of the data folder, made from the replication log. While another coordinator leads, `follow`
 * makes each of its changes here; `lead` makes the last ones, and fences the coordinator before.
 *
 *     DATA/.replica     the name of the log, and the number of the last change that was made here
 *
 * A change may be made twice after a crash, so making it again changes nothing.
 */
import { join } from 'node:path';
import type { Clock } from '../../shared/base/clock.js';
import { describeError, Fault } from '../../shared/base/faults.js';
import type { FileChange, ReplicationLog } from '../../shared/bus/replication-log.js';
import type { Disk } from '../../shared/host/disk.js';
import type { Log } from '../../shared/telemetry/log.js';
import { appendAt } from './append-at.js';
import { localFiles } from './local-files.js';
import {
  type FolderSecret,
  notAllCopied,
  otherFiles,
  otherLog,
  readMark,
  refuseOtherSecret,
  writeMark,
} from './replica-mark.js';
import { ReplicatedDisk } from './replicated-disk.js';

const FOLLOW_MILLIS = 500;
const MARK_MILLIS = 1000;

export interface ReplicaOptions {
  /** The data folder. */
  readonly data: string;
  /** True of a path within the data folder that is replicated. */
  readonly isReplicated: (path: string) => boolean;
  /** The secret of the data folder, which is not replicated. */
  readonly secret: FolderSecret;
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
  #isOrigin = false;
  #isComplete = false;
  #markedAt = Number.NEGATIVE_INFINITY;
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: ReplicaOptions, deps: ReplicaDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The number of the last change that was made here. */
  get made(): number {
    return this.#made;
  }

  /**
   * Makes the changes that the log has now.
   * @throws Fault BAD_OPTION if the data folder is not a copy of the one that the log is about, or lacks its secret
   */
  catchUp(): Promise<void> {
    return this.#inTurn(() => this.#catchUp());
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
        if (problem !== '') log.info({ changes: this.#made }, 'copying works again');
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
    const disk = await this.#inTurn(() => this.#begin(term));
    this.#deps.log.info(
      { data: this.#options.data },
      'replicating; a standby needs a copy of the file .cookie-secret',
    );
    try {
      await work(disk);
    } finally {
      await disk.idle();
      this.#isLeading = false;
      this.#read = this.#made; // what another coordinator has stored meanwhile counts
    }
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => {});
    return await done;
  }

  async #begin(term: number): Promise<ReplicatedDisk> {
    const { replication } = this.#deps;
    for (;;) {
      const { last: before } = await replication.state();
      await this.#catchUp();
      if (before === 0) {
        this.#isOrigin = true;
        await this.#mark(0);
      }
      if (!this.#isComplete && !this.#isOrigin) throw notAllCopied(this.#options.data);
      const data = Buffer.from(await this.#options.secret.make());
      const begin: FileChange = { kind: 'begin', path: '', offset: 0, size: 0, data, term };
      const { last, fault } = await replication.append([begin], before);
      if (fault?.code === 'DEPOSED') continue; // the coordinator before has written meanwhile
      if (fault !== undefined) throw fault;
      await this.#mark(last);
      const disk = this.#diskAfter(last, term);
      if (!this.#isComplete) await this.#copyAll(disk);
      this.#isLeading = true;
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
    await disk.endCopying();
    this.#isComplete = true;
    await this.#mark(this.#made);
  }

  async #catchUp(): Promise<void> {
    if (this.#isLeading) return; // then the changes in the log are ours
    const { replication } = this.#deps;
    const { id, last } = await replication.state();
    if (this.#log === undefined) await this.#open(id, last);
    if (id !== this.#log) {
      if (last > 0 && this.#made > 0) throw otherLog(this.#options.data, this.#made);
      // The broker has lost its log; the next leader begins a new one.
      this.#log = id;
      this.#read = 0;
      this.#made = 0;
      this.#isOrigin = false;
      this.#isComplete = false;
    }
    if (last <= this.#read) return;
    if (this.#made === 0 && !this.#isOrigin) await this.#refuseOwnFiles();
    for await (const { number, change } of replication.read(this.#read)) {
      await this.#make(change);
      this.#read = number;
      if (this.#parts.length === 0) await this.#onMade(number);
    }
  }

  /** @throws Fault BAD_OPTION or UNREADABLE_FILE */
  async #open(id: string, last: number): Promise<void> {
    const { data } = this.#options;
    const mark = await readMark(this.#deps.disk, data);
    this.#log = id;
    if (mark === undefined || (mark.log !== id && last === 0)) return;
    if (mark.log !== id || mark.last > last) throw otherLog(data, mark.last);
    this.#made = mark.last;
    this.#read = mark.last;
    this.#isOrigin = mark.isOrigin;
    this.#isComplete = mark.isComplete;
  }

  /** Before the first change of another coordinator is made here. @throws Fault BAD_OPTION */
  async #refuseOwnFiles(): Promise<void> {
    const { data, isReplicated } = this.#options;
    const [own] = await localFiles(this.#deps.disk, data, isReplicated);
    if (own !== undefined) throw otherFiles(data, own);
  }

  async #make(change: FileChange): Promise<void> {
    const { data, isReplicated } = this.#options;
    const { disk, log } = this.#deps;
    const { kind, path } = change;
    if (kind !== 'write') this.#parts = []; // the writer of the file died
    if (kind === 'copied') this.#isComplete = true;
    else if (kind === 'begin')
      await refuseOtherSecret(this.#options, Buffer.from(change.data).toString());
    else if (!isReplicated(path)) log.warn({ path }, 'ignored a copy of an unknown file');
    else if (kind === 'append') await appendAt(disk, join(data, path), change);
    else await this.#write(change);
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
    const parts = [...this.#parts, part];
    if (octets + part.data.length < size) {
      this.#parts = parts;
      return;
    }
    // If this fails, the last part is read again.
    const content = parts.map(({ data }) => data);
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
    const [isOrigin, isComplete] = [this.#isOrigin, this.#isComplete];
    try {
      const mark = { log: this.#log ?? '', last, isOrigin, isComplete };
      await writeMark(disk, this.#options.data, mark);
    } catch (error) {
      // Changes will be made again.
      log.warn({ error: describeError(error) }, 'cannot note which copies were made');
    }
  }
}
