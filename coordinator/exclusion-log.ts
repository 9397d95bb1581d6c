/**
 * The exclusion log: a line per exclusion in the data folder, with the hash of all lines up to it. It is what counts
 * if the broker lost exclusions, or has others.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { Fault } from '../shared/base/faults.js';
import type { Disk } from '../shared/host/disk.js';
import { type Exclusion, Exclusions } from '../shared/survey/policy/exclusions.js';

export const EXCLUSIONS_FILE = 'exclusions.ndjson';
const lineShape = z.object({
  version: z.number().int().min(1),
  prefix: z.string(),
  reason: z.string(),
  by: z.string(),
  at: z.number(),
  lifts: z.number().int().min(0).default(0),
  /** Absent in lines of earlier versions. */
  head: z.string().optional(),
});

export class ExclusionLog {
  readonly #file: string;
  readonly #disk: Disk;
  /** The highest version in the log. */
  #version = 0;

  /** @param data the coordinator's data folder */
  constructor(data: string, disk: Disk) {
    this.#file = join(data, EXCLUSIONS_FILE);
    this.#disk = disk;
  }

  /** @throws Fault BAD_MESSAGE, with file and line, if somebody has changed the log */
  async read(): Promise<Exclusions> {
    const logged = new Exclusions();
    let number = 0;
    for await (const line of this.#disk.lines(this.#file)) {
      number++;
      const read = parseLine(line);
      if (read === undefined) continue; // torn: the entry was logged again
      const { head, ...entry } = read;
      logged.add(entry);
      const isChained = entry.version <= logged.version;
      if (head === undefined || (isChained && head === logged.headAt(entry.version))) continue;
      const reason =
        'the exclusion log was changed: the hash of this line does not fit; restore the file from a copy';
      throw new Fault('BAD_MESSAGE', reason, { file: this.#file, line: number });
    }
    this.#version = logged.version;
    return logged;
  }

  /** Appends the exclusions that are not in the log yet. @throws Fault UNWRITABLE */
  async write(exclusions: Exclusions): Promise<void> {
    const { version, entries } = exclusions;
    const news = entries.slice(this.#version, version);
    if (news.length === 0) return;
    const lines = news.map((entry) => {
      return `${JSON.stringify({ ...entry, head: exclusions.headAt(entry.version) })}\n`;
    });
    await this.#disk.append(this.#file, lines.join(''));
    this.#version = Math.max(this.#version, version);
  }
}

/** Undefined for a torn line. */
function parseLine(line: string): (Exclusion & { readonly head?: string | undefined }) | undefined {
  try {
    return lineShape.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
