/**
 * A disk whose files are replicated: each change is in the replication log before it is made here, and counts once
 * it is both there and here. Files that are not replicated, and all reading, are those of this host.
 */
import { relative } from 'node:path';
import { describeError } from '../../shared/base/faults.js';
import { LIMITS } from '../../shared/base/limits.js';
import type { FileChange, ReplicationLog } from '../../shared/bus/replication-log.js';
import type { Chunks, Disk } from '../../shared/host/disk.js';
import type { Log } from '../../shared/telemetry/log.js';
import { appendAt, isWholeLines } from './append-at.js';
import { LogWriter } from './log-writer.js';

export interface ReplicatedDiskOptions {
  /** The data folder. */
  readonly data: string;
  /** True of a path within the data folder that is replicated. */
  readonly isReplicated: (path: string) => boolean;
  readonly term: number;
  /** The number of the last change in the log, which is the one with which we began to lead. */
  readonly last: number;
  /** Called with the number of a change, once it and all before it are made here. */
  readonly onMade: (number: number) => Promise<void>;
}

export interface ReplicatedDiskDeps {
  readonly replication: ReplicationLog;
  /** The disk of this host. */
  readonly disk: Disk;
  readonly log: Log;
}

export class ReplicatedDisk implements Disk {
  readonly #options: ReplicatedDiskOptions;
  readonly #deps: ReplicatedDiskDeps;
  readonly #writer: LogWriter;
  /** The changes of a file are made one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** Lines that are in the log, and could not be appended here yet. */
  readonly #missing = new Map<string, Lines>();
  /** By file: the number of the last change before the first one that is not made here yet. */
  readonly #madeBefore = new Map<string, number>();
  #last: number;

  constructor(options: ReplicatedDiskOptions, deps: ReplicatedDiskDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#last = options.last;
    this.#writer = new LogWriter(deps.replication, options.last);
  }

  /** Copies a file that is here to the log. */
  async copy(file: string): Promise<void> {
    const path = this.#pathOf(file);
    if (path === undefined) return;
    const { disk } = this.#deps;
    await this.#inTurn(file, async () => {
      let content = await contentOf(disk, file);
      const isLog = path.endsWith('.ndjson') && !path.includes('/segments/');
      if (isLog && !(await isWholeLines(disk, file, content.length))) {
        // Ends a line that a crash has torn, as the next append would.
        content = Buffer.concat([content, Buffer.from('\n')]);
        await disk.writeWhole(file, [content]);
      }
      await this.#logWhole(file, path, content);
      await this.#onMade(file);
    });
  }

  /** Records that all files that were here before are in the log. */
  async endCopying(): Promise<void> {
    const { term } = this.#options;
    const data = new Uint8Array(0);
    await this.#log('', [{ kind: 'copied', path: '', offset: 0, size: 0, data, term }]);
    await this.#onMade('');
  }

  /** Resolves once no change is being made. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#turns.values());
  }

  async writeWhole(file: string, chunks: Chunks): Promise<void> {
    const { disk } = this.#deps;
    const path = this.#pathOf(file);
    if (path === undefined) return await disk.writeWhole(file, chunks);
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(Buffer.from(chunk as Uint8Array));
    const content = Buffer.concat(parts);
    await this.#inTurn(file, async () => {
      await this.#logWhole(file, path, content);
      await disk.writeWhole(file, [content]);
      await this.#onMade(file);
    });
  }

  async makeWhole(file: string, make: (beside: string) => Promise<void>): Promise<void> {
    const { disk } = this.#deps;
    const path = this.#pathOf(file);
    if (path === undefined) return await disk.makeWhole(file, make);
    await this.#inTurn(file, async () => {
      await disk.makeWhole(file, async (beside) => {
        await make(beside);
        await this.#logWhole(file, path, await contentOf(disk, beside));
      });
      await this.#onMade(file);
    });
  }

  /**
   * Once a line is in the log, it counts, as it does for those who read the log: if it cannot be appended here, it is
   * appended before the file is used again.
   */
  async append(file: string, lines: string): Promise<void> {
    const { disk, log } = this.#deps;
    const path = this.#pathOf(file);
    if (path === undefined) return await disk.append(file, lines);
    await this.#inTurn(file, async () => {
      await this.#appendMissing(file);
      const offset = await disk.size(file);
      const isTorn = !(await isWholeLines(disk, file, offset));
      const data = Buffer.from(isTorn ? `\n${lines}` : lines);
      const size = offset + data.length;
      const { term } = this.#options;
      await this.#log(file, [{ kind: 'append', path, offset, size, data, term }]);
      this.#missing.set(file, { offset, data });
      try {
        await this.#appendMissing(file);
        await this.#onMade(file);
      } catch (error) {
        log.error({ file, error: describeError(error) }, 'cannot append here what is in the log');
      }
    });
  }

  async remove(file: string): Promise<void> {
    const path = this.#pathOf(file);
    await this.#inTurn(file, async () => {
      await this.#deps.disk.remove(file);
      // Not what another coordinator may have written since.
      if (path !== undefined) await this.#deps.replication.forget(path, this.#last + 1);
    });
  }

  async read(file: string, octetsMax?: number): Promise<Buffer | undefined> {
    await this.#settle(file);
    return await this.#deps.disk.read(file, octetsMax);
  }

  async readPart(file: string, offset: number, length: number): Promise<Uint8Array> {
    await this.#settle(file);
    return await this.#deps.disk.readPart(file, offset, length);
  }

  async *lines(file: string): AsyncGenerator<string> {
    await this.#settle(file);
    yield* this.#deps.disk.lines(file);
  }

  async size(file: string): Promise<number> {
    await this.#settle(file);
    return await this.#deps.disk.size(file);
  }

  writeSecret(file: string, text: string): Promise<void> {
    return this.#deps.disk.writeSecret(file, text);
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#deps.disk.list(folder);
  }

  folders(folder: string): Promise<readonly string[]> {
    return this.#deps.disk.folders(folder);
  }

  /** The path within the data folder; undefined if the file is not replicated. */
  #pathOf(file: string): string | undefined {
    const path = relative(this.#options.data, file);
    return this.#options.isReplicated(path) ? path : undefined;
  }

  async #inTurn(file: string, work: () => Promise<void>): Promise<void> {
    const done = (this.#turns.get(file) ?? Promise.resolve()).catch(() => {}).then(work);
    this.#turns.set(file, done);
    try {
      await done;
    } finally {
      if (this.#turns.get(file) === done) this.#turns.delete(file);
    }
  }

  /** Adds a whole file to the log, and forgets what it replaces. */
  async #logWhole(file: string, path: string, content: Uint8Array): Promise<void> {
    const { term } = this.#options;
    const size = content.length;
    const changes: FileChange[] = [];
    for (let offset = 0; offset === 0 || offset < size; offset += LIMITS.chunkOctets) {
      const data = content.subarray(offset, offset + LIMITS.chunkOctets);
      changes.push({ kind: 'write', path, offset, size, data, term });
    }
    const { disk, replication } = this.#deps;
    const isReplacing = this.#madeBefore.has(file) || (await disk.size(file)) > 0;
    const last = await this.#log(file, changes);
    this.#missing.delete(file);
    if (isReplacing) await replication.forget(path, last - changes.length + 1);
  }

  async #log(file: string, changes: readonly FileChange[]): Promise<number> {
    const last = await this.#writer.write(changes);
    this.#last = last;
    if (!this.#madeBefore.has(file)) this.#madeBefore.set(file, last - changes.length);
    return last;
  }

  async #onMade(file: string): Promise<void> {
    this.#madeBefore.delete(file);
    await this.#options.onMade(Math.min(this.#last, ...this.#madeBefore.values()));
  }

  /** Makes a file complete before it is read. @throws Fault UNWRITABLE */
  async #settle(file: string): Promise<void> {
    if (this.#missing.has(file)) await this.#inTurn(file, () => this.#appendMissing(file));
  }

  /** Called in turn. @throws Fault UNWRITABLE */
  async #appendMissing(file: string): Promise<void> {
    const missing = this.#missing.get(file);
    if (missing === undefined) return;
    await appendAt(this.#deps.disk, file, missing);
    this.#missing.delete(file);
  }
}

interface Lines {
  readonly offset: number;
  readonly data: Uint8Array;
}

async function contentOf(disk: Disk, file: string): Promise<Uint8Array> {
  const size = await disk.size(file);
  const content = new Uint8Array(size);
  for (let at = 0; at < size; at += LIMITS.chunkOctets) {
    content.set(await disk.readPart(file, at, Math.min(LIMITS.chunkOctets, size - at)), at);
  }
  return content;
}
