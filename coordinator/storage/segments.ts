/**
 * The segments of a survey. Each shard has one file, which is named after the shard and written as a whole; if the
 * shard is stored again, the same content replaces it. Once all shards of an aligned run are stored, their files are
 * merged into one that is named after the run (as LSM trees compact). Until the smaller files are removed, only the
 * merged one is listed.
 *     segments/000000042.parquet               rows of one shard; no file if it has none
 *     segments/000000000-000000064.parquet     rows of shards 0 to 63
 */
import { join } from 'node:path';
import type { Disk } from '../../shared/host/disk.js';
import { fieldIndices } from '../sink/field-selection.js';
import type { Row } from '../sink/fields.js';
import type { RowSource } from '../sink/row-source.js';
import type { Sink } from '../sink/sink.js';
import { sinkNamed } from '../sink/sink-registry.js';
import { digestOf, type FileDigest } from './file-digest.js';
import type { MergedSegment } from './journal.js';

const NUMBER_DIGITS = 9;
/** The numbers of shards whose files are merged into one, unless the merged file would be too large. */
const LEVELS = [64, 4096, 262_144] as const;
const MERGED_OCTETS_MAX = 64 * 1024 * 1024;
const NAME = /^(\d{9,})(?:-(\d{9,}))?\.(\w+)$/;
const [CLASSIFICATION = 0] = fieldIndices(['classification']);

/** A file with the rows of shards [from, to). */
export interface Segment {
  readonly from: number;
  readonly to: number;
  readonly file: string;
}

export class SegmentStore {
  readonly folder: string;
  readonly sink: Sink;
  readonly #disk: Disk;

  constructor(folder: string, output: string, disk: Disk) {
    this.folder = join(folder, 'segments');
    this.#disk = disk;
    this.sink = sinkNamed(output);
  }

  /** Durable once it resolves. @returns the digest of the file @throws Fault UNWRITABLE */
  async write(shard: number, rows: Iterable<RowSource>): Promise<FileDigest> {
    const file = this.#file(shard, shard + 1);
    await this.sink.write(this.#disk, file, rows);
    return await digestOf(this.#disk, file);
  }

  /** Removes the file of a shard that has no rows. */
  async clear(shard: number): Promise<void> {
    await this.#disk.remove(this.#file(shard, shard + 1));
  }

  /** The files to read, ascending: none of them is part of another. */
  async list(): Promise<Segment[]> {
    return outermost(this.#parse(await this.#disk.list(this.folder)));
  }

  /**
   * Removes the leftovers of a crash, and what another coordinator has removed: temporary files, files that the
   * journal does not list, and files whose rows are in a merged file.
   */
  async sweep(isListed: (segment: Segment) => boolean): Promise<void> {
    const names = await this.#disk.list(this.folder);
    const found = this.#parse(names);
    const needed = new Set(outermost(found.filter(isListed)).map(({ file }) => file));
    const unneeded = found.map(({ file }) => file).filter((file) => !needed.has(file));
    const partial = names.filter((name) => name.endsWith('.part'));
    for (const file of [...unneeded, ...partial.map((name) => join(this.folder, name))])
      await this.#disk.remove(file);
  }

  read({ file }: Segment): AsyncIterable<Row> {
    return this.sink.read(this.#disk, file);
  }

  /** The classification stored for a position; undefined if it has no row. */
  async rowAt(shard: number, position: number): Promise<string | undefined> {
    // The smallest first: during a merge, the larger file exists before the smaller ones are removed.
    for (const length of [1, ...LEVELS]) {
      const from = shard - (shard % length);
      const found = await this.#find(this.#file(from, from + length), position);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * Merges the files of every aligned run that is now complete. Safe to interrupt and to repeat: the merged
   * file is durable before the others are removed.
   * @param shard the shard that was stored last
   * @param areStored whether all shards of [from, to) are stored
   * @param onMerged records a merged file, before the others are removed
   */
  async compact(
    shard: number,
    areStored: (from: number, to: number) => boolean,
    onMerged: (merged: MergedSegment) => Promise<void>,
  ): Promise<void> {
    for (const level of LEVELS) {
      const from = shard - (shard % level);
      if (!areStored(from, from + level)) return;
      await this.#merge(from, from + level, onMerged);
    }
  }

  async #merge(
    from: number,
    to: number,
    onMerged: (merged: MergedSegment) => Promise<void>,
  ): Promise<void> {
    const segments = await this.list();
    const parts = segments.filter((segment) => from <= segment.from && segment.to <= to);
    const files = parts.map(({ file }) => file);
    let octets = 0;
    for (const file of files) octets += await this.#disk.size(file);
    if (files.length < 2 || octets > MERGED_OCTETS_MAX) return;
    const merged = this.#file(from, to);
    await this.sink.merge(this.#disk, files, merged);
    try {
      await onMerged({ from, to, segment: await digestOf(this.#disk, merged) });
    } catch (error) {
      await this.#disk.remove(merged); // the others are still there
      throw error;
    }
    for (const file of files) await this.#disk.remove(file);
  }

  #parse(names: readonly string[]): Segment[] {
    return names.flatMap((name) => {
      const match = NAME.exec(name);
      if (match?.[3] !== this.sink.name) return [];
      const from = Number(match[1]);
      const to = match[2] === undefined ? from + 1 : Number(match[2]);
      return [{ from, to, file: join(this.folder, name) }];
    });
  }

  async #find(file: string, position: number): Promise<string | undefined> {
    if ((await this.#disk.size(file)) === 0) return undefined;
    for await (const row of this.sink.read(this.#disk, file, position)) {
      return String(row[CLASSIFICATION]);
    }
    return undefined;
  }

  #file(from: number, to: number): string {
    const name = (number: number) => String(number).padStart(NUMBER_DIGITS, '0');
    const run = to === from + 1 ? name(from) : `${name(from)}-${name(to)}`;
    return join(this.folder, `${run}.${this.sink.name}`);
  }
}

function outermost(segments: readonly Segment[]): Segment[] {
  // Of files with the same start the largest comes first; it covers the following ones.
  const sorted = [...segments].sort((a, b) => a.from - b.from || b.to - a.to);
  let end = -1;
  return sorted.filter(({ to }) => {
    const isWithin = to <= end;
    end = Math.max(end, to);
    return !isWithin;
  });
}
