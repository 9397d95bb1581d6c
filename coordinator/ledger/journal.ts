/**
 * The journal of a survey: one line for each shard that is stored, written after its rows are durable.
 * A shard is stored when its line is there, and not before. Together with the segments it is all that
 * is needed to know what was covered, by whom and when.
 *
 * Lines carry the term of the coordinator that wrote them. Each begins with a line that says only its
 * term; what a coordinator of an earlier term writes after that does not count, so that one who was
 * thought dead and wakes up in the middle of a write changes nothing. Several shards share a sync.
 */
import { z } from 'zod';
import type { Disk } from '../../shared/base/disk.js';
import type { ShardReport } from '../../shared/survey/lease.js';

/** One shard that is stored. */
export interface ShardEntry {
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  /** Positions [from, covered) are covered: fewer than [from, to) where the survey was cancelled. */
  readonly covered: number;
  readonly rows: number;
  readonly reports: readonly ShardReport[];
}

const whole = z.number().int().min(0);
const lineShape = z.object({ term: whole, shard: whole.optional() });

interface Waiting {
  readonly line: string;
  resolve(): void;
  reject(error: unknown): void;
}

export class Journal {
  readonly #disk: Disk;
  readonly #file: string;
  readonly #term: number;
  #waiting: Waiting[] = [];
  #isWriting = false;

  constructor(disk: Disk, file: string, term: number) {
    this.#disk = disk;
    this.#file = file;
    this.#term = term;
  }

  /** From now on nothing of an earlier term counts. @throws Fault UNWRITABLE */
  begin(): Promise<void> {
    return this.#append({});
  }

  /** Durable when it resolves. @throws Fault UNWRITABLE */
  add(entry: ShardEntry): Promise<void> {
    return this.#append(entry);
  }

  #append(content: object): Promise<void> {
    const line = `${JSON.stringify({ term: this.#term, ...content })}\n`;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      void this.#write();
    });
  }

  /** What waits while a write is under way goes with the next one. */
  async #write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#disk.append(this.#file, batch.map(({ line }) => line).join(''));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWriting = false;
  }
}

/** The entries that count, in the order they were written; the first one of a shard is the one. */
export async function* readJournal(disk: Disk, file: string): AsyncGenerator<ShardEntry> {
  let term = 0;
  for await (const line of disk.lines(file)) {
    const read = parseLine(line);
    if (read === undefined || read.term < term) continue;
    term = read.term;
    if (read.shard !== undefined) yield read as unknown as ShardEntry;
  }
}

/** The entry of one shard, or undefined where it is not stored. */
export async function findEntry(
  disk: Disk,
  file: string,
  shard: number,
): Promise<ShardEntry | undefined> {
  for await (const entry of readJournal(disk, file)) if (entry.shard === shard) return entry;
  return undefined;
}

/** Half a line, where its writer died, is none. */
function parseLine(line: string): z.infer<typeof lineShape> | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    return lineShape.safeParse(parsed).success ? (parsed as z.infer<typeof lineShape>) : undefined;
  } catch {
    return undefined;
  }
}
