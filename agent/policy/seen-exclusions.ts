/**
 * The exclusions that this host has seen, across restarts: their number and their hash. A coordinator that has fewer,
 * or other ones, has lost or undone an opt-out.
 *     STATE/exclusions-<agent>.json
 */
import { join } from 'node:path';
import { z } from 'zod';
import { describeError, Fault } from '../../shared/base/faults.js';
import type { Disk } from '../../shared/host/disk.js';
import type { Exclusions } from '../../shared/survey/policy/exclusions.js';
import type { Log } from '../../shared/telemetry/log.js';

const OCTETS_MAX = 4096;
const shape = z.object({ version: z.number().int().min(0), head: z.string() });

export class SeenExclusions {
  readonly file: string;
  readonly #disk: Disk;
  readonly #log: Log;
  #last: z.infer<typeof shape>;

  private constructor(file: string, disk: Disk, log: Log, last: z.infer<typeof shape>) {
    this.file = file;
    this.#disk = disk;
    this.#log = log;
    this.#last = last;
  }

  /** @param folder of this host's state @throws Fault UNREADABLE_FILE or UNWRITABLE */
  static async open(folder: string, agent: string, disk: Disk, log: Log): Promise<SeenExclusions> {
    const file = join(folder, `exclusions-${agent}.json`);
    const text = (await disk.read(file, OCTETS_MAX))?.toString();
    if (text === undefined) {
      const nothing = { version: 0, head: '' };
      await disk.writeWhole(file, [`${JSON.stringify(nothing)}\n`]); // now, and not with the first opt-out
      return new SeenExclusions(file, disk, log, nothing);
    }
    try {
      return new SeenExclusions(file, disk, log, shape.parse(JSON.parse(text)));
    } catch (cause) {
      const reason =
        'the file does not say which exclusions this host has seen; remove it if the coordinator is a new one';
      throw new Fault('UNREADABLE_FILE', reason, { file }, cause);
    }
  }

  /** The number of exclusions that this host has seen. */
  get version(): number {
    return this.#last.version;
  }

  /** True if a list that is long enough is not a continuation of what this host has seen. */
  isContradictedBy(list: Exclusions): boolean {
    const { version, head } = this.#last;
    return list.version >= version && list.headAt(version) !== head;
  }

  /** Stores what a list adds to what was seen. A failure is logged: it must not stop opt-outs from taking effect. */
  async keep(list: Exclusions): Promise<void> {
    if (list.version <= this.#last.version || this.isContradictedBy(list)) return;
    this.#last = { version: list.version, head: list.headAt(list.version) };
    try {
      await this.#disk.writeWhole(this.file, [`${JSON.stringify(this.#last)}\n`]);
    } catch (error) {
      this.#log.error({ error: describeError(error) }, 'cannot store which exclusions were seen');
    }
  }
}
