/**
 * The journal of a survey: one line per stored shard, appended after its rows are durable. A shard is stored
 * once its line is there, and not before. Journal and segments together prove what was covered, by whom and
 * when.
 *
 * Each line carries the term of the coordinator that wrote it (a fencing term). A coordinator begins with a
 * line that contains only its term. Any line that follows it but carries an earlier term is ignored, so a
 * coordinator that was thought dead and wakes up in the middle of a write changes nothing. Several shards
 * share a sync (group commit). A torn write (an incomplete last line) is ignored.
 */
import { z } from 'zod';
import { Fault } from '../../shared/base/faults.js';
import { IntervalSet } from '../../shared/base/intervals.js';
import type { Disk } from '../../shared/host/disk.js';
import {
  type CheckEntry,
  type CrossCheckLine,
  crossCheckShapes,
  type DistrustedAgent,
  type UnconfirmedShards,
} from '../../shared/survey/cross-check-lines.js';
import { NO_FINDINGS } from '../../shared/survey/icmp-findings.js';
import type { EpochRecord } from '../../shared/survey/lease.js';
import { noneUnsent } from '../../shared/survey/unsent.js';
import type { UnsentPositions } from '../../shared/survey/unsent-positions.js';
import type { FileDigest } from './file-digest.js';

/** One shard that is stored. */
export interface ShardEntry {
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  /** Positions [from, coveredUpTo) are covered. If the survey was cancelled, `coveredUpTo` may be below `to`. */
  readonly coveredUpTo: number;
  readonly rowCount: number;
  readonly epochs: readonly EpochRecord[];
  /** Unsent positions; absent if there are none. */
  readonly unsent?: UnsentPositions;
  /** The digest of its segment, as it was written; absent if it has no rows. */
  readonly segment?: FileDigest;
}

/** The rows of shards [from, to) in one file. */
export interface MergedSegment {
  readonly from: number;
  readonly to: number;
  readonly segment: FileDigest;
}

/** Called with lines that are about no shard; a shard may be stored again, and so have several files. */
export interface JournalLines {
  readonly onSegment?: (file: MergedSegment) => void;
  readonly onCrossCheck?: ((line: CrossCheckLine) => void) | undefined;
}

const whole = z.number().int().min(0);
const epoch = z.looseObject({
  agent: z.string(),
  from: whole,
  sentUpTo: whole,
  settledUpTo: whole,
  replies: z.record(z.string(), whole),
});
const digest = z.looseObject({ octets: whole, sha256: z.string() });
const noShard = { term: whole, shard: z.undefined().optional() };
const lineShape = z.union([
  z.strictObject(noShard),
  z.strictObject({
    ...noShard,
    merged: z.strictObject({ from: whole, to: whole, segment: digest }),
  }),
  ...crossCheckShapes.map((shape) => shape.extend(noShard)),
  z.looseObject({
    term: whole,
    shard: whole,
    from: whole,
    to: whole,
    coveredUpTo: whole,
    rowCount: whole,
    epochs: z.array(epoch),
    segment: digest.optional(),
  }),
]);
/** The journal is searched for terms in parts of this many octets. */
const SCAN_OCTETS = 256 * 1024;
/** The term of a line lies within this many octets from its start. */
const START_OCTETS = 32;

interface Waiting {
  readonly line: string;
  resolve(): void;
  reject(error: unknown): void;
}

export class Journal {
  readonly #disk: Disk;
  readonly #file: string;
  readonly #term: number;
  readonly #terms: TermScan;
  #waiting: Waiting[] = [];
  #isWriting = false;

  constructor(disk: Disk, file: string, term: number) {
    this.#disk = disk;
    this.#file = file;
    this.#term = term;
    this.#terms = new TermScan(disk, file);
  }

  /** Fences the lines of earlier terms. @throws Fault UNWRITABLE, or DEPOSED if a later term has begun */
  async begin(): Promise<void> {
    await this.#refuseIfDeposed();
    await this.#append({});
  }

  /** Durable once it resolves. @throws Fault UNWRITABLE or DEPOSED */
  add(entry: ShardEntry): Promise<void> {
    return this.#append(entry);
  }

  /** Records a merged file, before the files that it replaces are removed. */
  addMerged(merged: MergedSegment): Promise<void> {
    return this.#append({ merged });
  }

  /** Records that one agent has checked another, or that one was caught. */
  addCrossCheck(line: CrossCheckLine): Promise<void> {
    return this.#append(line);
  }

  #append(content: object): Promise<void> {
    const line = `${JSON.stringify({ term: this.#term, ...content })}\n`;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      void this.#write();
    });
  }

  /**
   * Refuses to continue if a later term has begun, because our lines no longer count then.
   * @throws Fault DEPOSED
   */
  async #refuseIfDeposed(): Promise<void> {
    if ((await this.#terms.latest()) <= this.#term) return;
    const reason = 'another coordinator has taken over';
    throw new Fault('DEPOSED', reason, { file: this.#file });
  }

  /** Lines that arrive during a write are part of the next one (group commit). */
  async #write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#disk.append(this.#file, batch.map(({ line }) => line).join(''));
        await this.#refuseIfDeposed();
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWriting = false;
  }
}

/**
 * The valid entries, in the order they were written; the first one of a shard counts.
 * @param lines called with each valid line of another kind, and with the file of each shard
 */
export async function* readJournal(
  disk: Disk,
  file: string,
  { onSegment, onCrossCheck }: JournalLines = {},
): AsyncGenerator<ShardEntry> {
  let term = 0;
  const seen = new IntervalSet();
  for await (const line of disk.lines(file)) {
    const read = parseLine(line);
    if (read === undefined || read.term < term) continue;
    term = read.term;
    const { merged, check, distrusted, unconfirmed, shard, segment } = read as unknown as {
      merged?: MergedSegment;
      check?: CheckEntry;
      distrusted?: DistrustedAgent;
      unconfirmed?: UnconfirmedShards;
    } & Partial<ShardEntry>;
    if (merged !== undefined) onSegment?.(merged);
    if (check !== undefined) onCrossCheck?.({ check });
    if (distrusted !== undefined) onCrossCheck?.({ distrusted });
    if (unconfirmed !== undefined) onCrossCheck?.({ unconfirmed });
    if (shard !== undefined && segment !== undefined)
      onSegment?.({ from: shard, to: shard + 1, segment });
    // A shard may have two lines, if its writer did not learn that the disk had accepted the first one.
    if (read.shard !== undefined && seen.add(read.shard))
      yield withAllCounts(read as unknown as ShardEntry);
  }
}

/** The latest term of a journal; 0 if there is none. */
export async function lastTermIn(disk: Disk, file: string): Promise<number> {
  return await new TermScan(disk, file).latest();
}

/** Finds the terms of a journal while it grows: each call reads what was appended since the one before. */
class TermScan {
  readonly #disk: Disk;
  readonly #file: string;
  #scannedTo = 0;
  #latest = 0;
  /** The last octets that were read: a line may start in them. */
  #overlap = '\n';

  constructor(disk: Disk, file: string) {
    this.#disk = disk;
    this.#file = file;
  }

  async latest(): Promise<number> {
    for (;;) {
      const part = await this.#disk.readPart(this.#file, this.#scannedTo, SCAN_OCTETS);
      if (part.length === 0) return this.#latest;
      const text = this.#overlap + Buffer.from(part).toString('latin1');
      for (const [, term] of text.matchAll(/\n\{"term":(\d{1,9})[,}]/g)) {
        this.#latest = Math.max(this.#latest, Number(term));
      }
      this.#scannedTo += part.length;
      this.#overlap = text.slice(-START_OCTETS);
    }
  }
}

/** The entry of one shard, or undefined if it is not stored. */
export async function findEntry(
  disk: Disk,
  file: string,
  shard: number,
): Promise<ShardEntry | undefined> {
  for await (const entry of readJournal(disk, file)) if (entry.shard === shard) return entry;
  return undefined;
}

/** Adds the counts and findings that an entry lacks, as zeros: a folder may come from an untrusted source. */
function withAllCounts(entry: ShardEntry): ShardEntry {
  const epochs = entry.epochs.map((report) => ({ ...noneUnsent(), ...NO_FINDINGS, ...report }));
  return { ...entry, epochs };
}

/** Ignores a torn line. */
function parseLine(line: string): z.infer<typeof lineShape> | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    return lineShape.safeParse(parsed).success ? (parsed as z.infer<typeof lineShape>) : undefined;
  } catch {
    return undefined;
  }
}
